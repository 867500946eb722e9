import { defineConfig } from 'vitest/config'

export default defineConfig({
  resolve: { conditions: ['latchwork-source'] },
  ssr: { resolve: { conditions: ['latchwork-source'] } },
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts', 'examples/**/*.test.ts', 'bench/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    coverage: { provider: 'v8', include: ['src/resolve/**', 'src/latch/**', 'src/merge/**', 'src/deliver/**'] },
  },
})
