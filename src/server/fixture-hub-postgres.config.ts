import { personHub } from './fixture-hub.ts'

export default personHub(process.env.HUB_STORE_URL, process.env.HUB_SCHEMA)
