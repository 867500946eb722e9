import type { SqliteDriver, SqliteStatement } from './driver.ts'

/** A connection with its prepared statements, each prepared when it is first used. */
export class Statements {
  readonly database: SqliteDriver
  readonly #bySql = new Map<string, SqliteStatement>()

  constructor(database: SqliteDriver) {
    this.database = database
  }

  of(sql: string): SqliteStatement {
    let statement = this.#bySql.get(sql)
    if (statement === undefined) this.#bySql.set(sql, (statement = this.database.prepare(sql)))
    return statement
  }

  /** All or nothing. `run` must not wait for anything. */
  transaction<T>(run: () => T): T {
    this.of('BEGIN IMMEDIATE').run()
    try {
      const result = run()
      this.of('COMMIT').run()
      return result
    } catch (error) {
      // SQLite has rolled back by itself after some errors, and then says that there is nothing to roll back.
      try {
        this.of('ROLLBACK').run()
      } catch {}
      throw error
    }
  }
}
