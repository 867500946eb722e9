import { existsSync } from 'node:fs'
import { Client } from 'pg'
import { describe, expect, test } from 'vitest'
import { postgresBinaries } from './postgres-binaries.ts'
import { startPostgres } from './postgres-server.ts'

const MAJORS = [15, 18]

describe('a PostgreSQL server for tests', () => {
  for (const major of MAJORS) {
    const binaries = postgresBinaries(major)
    test(`version ${major} starts with logical replication, survives a crash with its data, and leaves nothing`, async ({
      skip,
    }) => {
      if ((await binaries) === undefined) skip(`PostgreSQL ${major} is not installed on this machine`)
      const server = await startPostgres({ major })
      try {
        expect(await ask(server.url(), 'SHOW wal_level')).toBe('logical')
        expect((await ask(server.url(), 'SHOW server_version'))?.split('.')[0]).toBe(String(major))
        await ask(server.url(), 'CREATE TABLE kept AS SELECT 1 AS one')
        const { port } = server
        await server.stop('immediate')
        await server.start()
        expect(server.port).toBe(port)
        expect(await ask(server.url(), 'SELECT one FROM kept')).toBe(1)
      } finally {
        await server.close()
        await server.close()
      }
      expect(existsSync(server.folder)).toBe(false)
    })
  }
})

async function ask(url: string, sql: string): Promise<string | undefined> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query({ text: sql, rowMode: 'array' })
    return rows[0]?.[0]
  } finally {
    await client.end()
  }
}
