import { parentPort, workerData } from 'node:worker_threads'
import { type CampaignOptions, runCampaign } from './campaign.ts'

/** One share of a campaign, on a core of its own. */
parentPort?.postMessage(await runCampaign(workerData as CampaignOptions))
