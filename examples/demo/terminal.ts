export const runTerminal = async (_options: unknown, _signal: AbortSignal): Promise<number> => 1
