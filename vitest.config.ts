import { defineConfig } from 'vitest/config'

export default defineConfig({
  resolve: { conditions: ['latchwork-source'] },
  ssr: { resolve: { conditions: ['latchwork-source'] } },
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts', 'examples/**/*.test.ts', 'bench/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    // Against hangs alone: tests that start processes take long on a busy machine.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    coverage: {
      provider: 'v8',
      include: ['src/resolve/**', 'src/latch/**', 'src/merge/**', 'src/deliver/**'],
      exclude: ['**/fake-*'],
    },
  },
})
