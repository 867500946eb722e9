import { personHub } from '../server/fixture-hub.ts'

export default personHub()
