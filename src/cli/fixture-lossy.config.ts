import { lossyHub } from './fixture-check.ts'

export default lossyHub(false)
