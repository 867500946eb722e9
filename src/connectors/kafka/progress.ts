import type { KafkaOffset } from './driver.ts'

/**
 * How far the partitions of a topic are taken. Messages are settled in any order, and Kafka remembers one offset for each partition: that of the first message that is not settled. So what a crash has delivered again may
 * have been settled before, and is known by its place. Pure.
 */
export class Progress {
  readonly #partitions = new Map<number, { readonly open: Set<bigint>; last: bigint; committed: bigint }>()

  /** A message came. One that came before comes again because the partition went to another member of the group and back: nothing is known of it any more. */
  took(partition: number, offset: bigint): void {
    const known = this.#partitions.get(partition)
    if (known !== undefined && offset > known.last) {
      known.open.add(offset)
      known.last = offset
      return
    }
    this.#partitions.set(partition, { open: new Set([offset]), last: offset, committed: offset })
  }

  settled(partition: number, offset: bigint): void {
    this.#partitions.get(partition)?.open.delete(offset)
  }

  /** What can be committed now and was not before, of the partitions that are ours. */
  toCommit(topic: string, isOurs: (partition: number) => boolean): readonly KafkaOffset[] {
    const offsets: KafkaOffset[] = []
    for (const [partition, { open, last, committed }] of this.#partitions) {
      // Offsets come in order, and a set keeps it.
      const [oldest = last + 1n] = open
      if (oldest > committed && isOurs(partition)) offsets.push({ topic, partition, offset: oldest, leaderEpoch: -1 })
    }
    return offsets
  }

  committed(offsets: readonly KafkaOffset[]): void {
    for (const { partition, offset } of offsets) {
      const known = this.#partitions.get(partition)
      if (known !== undefined && offset > known.committed) known.committed = offset
    }
  }

  get openCount(): number {
    let count = 0
    for (const { open } of this.#partitions.values()) count += open.size
    return count
  }
}
