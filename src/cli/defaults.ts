export const CONFIG_DEFAULT = 'latchwork.config.ts'
export const DATA_DEFAULT = '.latchwork'
