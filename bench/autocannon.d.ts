/** What the bench uses of it; the package brings no types. */
declare module 'autocannon' {
  interface Result {
    readonly duration: number
    readonly errors: number
    readonly non2xx: number
    readonly requests: { readonly total: number }
    readonly latency: { readonly p50: number; readonly p99: number }
  }
  export default function autocannon(options: {
    readonly url: string
    readonly method: string
    readonly connections: number
    readonly duration: number
    readonly headers: Readonly<Record<string, string>>
    readonly body: string
  }): Promise<Result>
}
