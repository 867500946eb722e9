import { encodeData } from '../model/value.ts'

/** JSON that loses nothing: an integer beyond 2^53 stands as `{"$int64": "..."}`. */
export const json = (data: unknown): Response =>
  new Response(encodeData(data), { headers: { 'content-type': 'application/json', 'cache-control': 'no-store' } })
