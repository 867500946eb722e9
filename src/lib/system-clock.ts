/** The one place that reads the system's clock and randomness; an architecture test holds every other file to that. Satisfies the ports Clock and Random. */
export const systemClock = {
  nowMs: (): number => Date.now(),
  monotonicMs: (): number => performance.now(),
  timer(delayMs: number, callback: () => void): { cancel(): void } {
    const handle = setTimeout(callback, Math.min(delayMs, 2 ** 31 - 1))
    return { cancel: () => clearTimeout(handle) }
  },
}

export const systemRandom = { next: (): number => Math.random() }
