import type { Migration } from './migrations.ts'

/**
 * The hub's tables, in one schema of its own. Ids are compared byte by byte (COLLATE "C"), so that pages have one order everywhere. Bodies are JSON as text, not jsonb: they are read
 * whole, and jsonb would change numbers and refuse NUL.
 *
 * A batch is one call of `commit_batch`, and an append one of `journal_append`: one round trip and one transaction each. What they refuse has a SQLSTATE of its own (errors.ts).
 */
export const MIGRATIONS: readonly Migration[] = [
  {
    what: 'records, cross-reference, held entries, conflicts, journal',
    sql: (s) => `
CREATE TABLE ${s}.state (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  instance_id text NOT NULL,
  generation bigint NOT NULL DEFAULT 1,
  epoch bigint NOT NULL DEFAULT 0,
  commits bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 20);

CREATE TABLE ${s}.journal_state (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  epoch bigint NOT NULL DEFAULT 0,
  last bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 20);
INSERT INTO ${s}.journal_state DEFAULT VALUES;

CREATE TABLE ${s}.records (
  canonical_key text COLLATE "C" PRIMARY KEY,
  entity text COLLATE "C" NOT NULL,
  shard integer NOT NULL,
  rev bigint NOT NULL,
  deleted boolean NOT NULL,
  body text NOT NULL,
  -- one JSON text per line, newest first; cut back now and then
  verdicts text NOT NULL
) WITH (fillfactor = 70);

CREATE TABLE ${s}.links (
  app_id text COLLATE "C" NOT NULL,
  object_id text COLLATE "C" NOT NULL,
  native_id text COLLATE "C" NOT NULL,
  entity text COLLATE "C" NOT NULL,
  canonical_key text COLLATE "C",
  incarnation integer NOT NULL,
  state text NOT NULL CHECK (state = 'tombstone' OR (state = 'live' AND canonical_key IS NOT NULL)),
  token text,
  at_ms bigint NOT NULL,
  PRIMARY KEY (app_id, object_id, native_id, entity)
);
CREATE UNIQUE INDEX links_live ON ${s}.links (canonical_key, app_id, entity) WHERE state = 'live';
CREATE INDEX links_gone ON ${s}.links (canonical_key) WHERE state = 'tombstone';

CREATE TABLE ${s}.matches (
  entity text COLLATE "C" NOT NULL,
  match_key text COLLATE "C" NOT NULL,
  canonical_key text COLLATE "C" NOT NULL,
  PRIMARY KEY (entity, match_key)
);

CREATE TABLE ${s}.open_lanes (
  canonical_key text COLLATE "C" NOT NULL,
  app_id text COLLATE "C" NOT NULL,
  entity text COLLATE "C" NOT NULL,
  state text NOT NULL,
  op text,
  since_ms bigint NOT NULL,
  code text,
  PRIMARY KEY (canonical_key, app_id)
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000);

CREATE TABLE ${s}.held (
  seq bigint NOT NULL,
  entity text COLLATE "C" NOT NULL,
  app_id text COLLATE "C" NOT NULL,
  object_id text COLLATE "C" NOT NULL,
  native_id text COLLATE "C" NOT NULL,
  waits_on text NOT NULL,
  body text NOT NULL,
  PRIMARY KEY (seq, entity)
);

CREATE TABLE ${s}.conflicts (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  canonical_key text COLLATE "C" NOT NULL,
  entity text COLLATE "C" NOT NULL,
  path text NOT NULL,
  reason text NOT NULL,
  loser_app text NOT NULL,
  winner_app text NOT NULL,
  at_ms bigint NOT NULL,
  body text NOT NULL
);
CREATE INDEX conflicts_of_record ON ${s}.conflicts (canonical_key, id);
CREATE INDEX conflicts_of_entity ON ${s}.conflicts (entity, id);

CREATE TABLE ${s}.cursors (
  consumer text COLLATE "C" PRIMARY KEY,
  position bigint NOT NULL
) WITH (fillfactor = 20);

-- The cross-reference, for people and their tools: which native record is which canonical record, and is its latch closed.
CREATE VIEW ${s}.xref AS
  SELECT app_id, object_id, native_id, canonical_key,
    EXISTS (
      SELECT 1 FROM ${s}.open_lanes o
      WHERE o.canonical_key = l.canonical_key AND o.app_id = l.app_id
        AND o.state IN ('intent', 'unknown', 'readback', 'overlay')
    ) AS latch_closed,
    entity, incarnation
  FROM ${s}.links l WHERE state = 'live';

-- Partitions of equally many entries, made ahead by the writer and dropped whole.
CREATE TABLE ${s}.journal (
  seq bigint NOT NULL,
  shard integer NOT NULL,
  at_ms bigint NOT NULL,
  mapping_version bigint NOT NULL,
  type text NOT NULL,
  -- empty where the input names none
  app_id text COLLATE "C" NOT NULL,
  object_id text COLLATE "C" NOT NULL,
  native_id text COLLATE "C" NOT NULL,
  dedup_key text COLLATE "C",
  body text NOT NULL,
  PRIMARY KEY (seq)
) PARTITION BY RANGE (seq);
CREATE INDEX journal_dedup ON ${s}.journal (dedup_key, app_id, object_id) WHERE dedup_key IS NOT NULL;

CREATE TABLE ${s}.feeds (
  app_id text COLLATE "C" NOT NULL,
  feed text COLLATE "C" NOT NULL,
  position text NOT NULL,
  PRIMARY KEY (app_id, feed)
) WITH (fillfactor = 20);
`,
  },
  {
    what: 'notes that belong to no single record',
    sql: (s) => `
CREATE TABLE ${s}.notes (
  kind text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  at_ms bigint NOT NULL,
  body text NOT NULL,
  PRIMARY KEY (kind, id)
);
`,
  },
  {
    what: 'runs of flows',
    sql: (s) => `
-- A fence of its own, so that runs and records do not wait for each other's commits.
CREATE TABLE ${s}.run_state (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  epoch bigint NOT NULL DEFAULT 0,
  commits bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 20);
INSERT INTO ${s}.run_state DEFAULT VALUES;

CREATE TABLE ${s}.runs (
  seq bigint PRIMARY KEY,
  flow text COLLATE "C" NOT NULL,
  state text NOT NULL,
  ended_at_ms bigint,
  body text NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX runs_unfinished ON ${s}.runs (flow, seq) WHERE ended_at_ms IS NULL;
CREATE INDEX runs_parked ON ${s}.runs (state, seq) WHERE state NOT IN ('done', 'running');

CREATE TABLE ${s}.run_cursors (
  flow text COLLATE "C" PRIMARY KEY,
  position bigint NOT NULL
) WITH (fillfactor = 20);
`,
  },
  {
    what: 'hint values, by which two records may be one',
    sql: (s) => `
CREATE TABLE ${s}.hints (
  entity text COLLATE "C" NOT NULL,
  hint text COLLATE "C" NOT NULL,
  canonical_key text COLLATE "C" NOT NULL,
  PRIMARY KEY (entity, hint, canonical_key)
);
`,
  },
]

/** Functions are no data: they are made anew whenever the schema is opened for writing, so that they always fit this code. */
export const functionsOf = (s: string): string => `
CREATE OR REPLACE FUNCTION ${s}.commit_runs(
  p_epoch bigint,
  r_seq bigint[], r_flow text[], r_state text[], r_ended bigint[], r_body text[],
  c_flow text[], c_position bigint[]
) RETURNS bigint LANGUAGE plpgsql AS $fn$
DECLARE
  v_commits bigint;
BEGIN
  UPDATE ${s}.run_state SET commits = commits + 1 WHERE epoch = p_epoch RETURNING commits INTO v_commits;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'epoch % tried to commit, the run store is at epoch %', p_epoch, (SELECT epoch FROM ${s}.run_state)
      USING ERRCODE = 'LW001';
  END IF;
  INSERT INTO ${s}.runs SELECT * FROM unnest(r_seq, r_flow, r_state, r_ended, r_body)
  ON CONFLICT (seq) DO UPDATE SET state = excluded.state, ended_at_ms = excluded.ended_at_ms, body = excluded.body;
  INSERT INTO ${s}.run_cursors SELECT * FROM unnest(c_flow, c_position)
  ON CONFLICT (flow) DO UPDATE SET position = excluded.position;
  RETURN v_commits;
END
$fn$;

CREATE OR REPLACE FUNCTION ${s}.commit_batch(
  p_epoch bigint, p_consumer text, p_position bigint,
  r_key text[], r_entity text[], r_shard int[], r_rev bigint[], r_expect bigint[], r_deleted boolean[], r_body text[], r_verdicts text[], r_lanes boolean[],
  o_key text[], o_app text[], o_entity text[], o_state text[], o_op text[], o_since bigint[], o_code text[],
  l_app text[], l_object text[], l_native text[], l_entity text[], l_key text[], l_incarnation int[], l_state text[], l_token text[], l_at bigint[], l_from text[],
  m_entity text[], m_match text[], m_key text[],
  d_seq bigint[], d_entity text[],
  h_seq bigint[], h_entity text[], h_app text[], h_object text[], h_native text[], h_waits text[], h_body text[],
  c_key text[], c_entity text[], c_path text[], c_reason text[], c_loser text[], c_winner text[], c_at bigint[], c_body text[],
  n_kind text[], n_id text[], n_at bigint[], n_body text[],
  i_entity text[], i_hint text[], i_key text[], i_gone boolean[]
) RETURNS bigint LANGUAGE plpgsql AS $fn$
DECLARE
  v_commits bigint;
  v_current bigint;
  i int;
BEGIN
  UPDATE ${s}.state SET commits = commits + 1 WHERE epoch = p_epoch RETURNING commits INTO v_commits;
  IF NOT FOUND THEN
    SELECT epoch INTO v_current FROM ${s}.state;
    RAISE EXCEPTION 'epoch % tried to commit, the store is at epoch %', p_epoch, v_current USING ERRCODE = 'LW001';
  END IF;

  FOR i IN 1 .. coalesce(array_length(r_key, 1), 0) LOOP
    IF r_expect[i] = 0 THEN
      INSERT INTO ${s}.records VALUES (r_key[i], r_entity[i], r_shard[i], r_rev[i], r_deleted[i], r_body[i], r_verdicts[i])
      ON CONFLICT (canonical_key) DO NOTHING;
    ELSIF r_rev[i] % 32 = 0 THEN
      -- Verdicts are cut back at every 32nd rev, so that most writes need not read them.
      UPDATE ${s}.records SET rev = r_rev[i], deleted = r_deleted[i], shard = r_shard[i], body = r_body[i],
        verdicts = (
          SELECT coalesce(string_agg(line || E'\\n', '' ORDER BY n), '')
          FROM regexp_split_to_table(r_verdicts[i] || verdicts, E'\\n') WITH ORDINALITY AS lines (line, n)
          WHERE n <= 64 AND line <> ''
        )
      WHERE canonical_key = r_key[i] AND rev = r_expect[i];
    ELSE
      UPDATE ${s}.records SET rev = r_rev[i], deleted = r_deleted[i], shard = r_shard[i], body = r_body[i],
        verdicts = r_verdicts[i] || verdicts
      WHERE canonical_key = r_key[i] AND rev = r_expect[i];
    END IF;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'record % is not at rev %; another owner wrote it', r_key[i], r_expect[i] USING ERRCODE = 'LW002';
    END IF;
    IF r_lanes[i] AND r_expect[i] <> 0 THEN
      DELETE FROM ${s}.open_lanes WHERE canonical_key = r_key[i];
    END IF;
  END LOOP;

  IF array_length(o_key, 1) > 0 THEN
    INSERT INTO ${s}.open_lanes
      SELECT * FROM unnest(o_key, o_app, o_entity, o_state, o_op, o_since, o_code);
  END IF;

  FOR i IN 1 .. coalesce(array_length(l_app, 1), 0) LOOP
    -- A live row gives way to its own record's, or to a tombstone; never to another record's.
    INSERT INTO ${s}.links AS links VALUES
      (l_app[i], l_object[i], l_native[i], l_entity[i], l_key[i], l_incarnation[i], l_state[i], l_token[i], l_at[i])
    ON CONFLICT (app_id, object_id, native_id, entity) DO UPDATE SET
      canonical_key = excluded.canonical_key, incarnation = excluded.incarnation, state = excluded.state,
      token = excluded.token, at_ms = excluded.at_ms
    WHERE links.state = 'tombstone' OR excluded.state = 'tombstone' OR links.canonical_key = excluded.canonical_key
      OR links.canonical_key = l_from[i];
    IF NOT FOUND THEN
      RAISE EXCEPTION '% %:% cannot be linked to %: the native record belongs to another one', l_entity[i], l_app[i], l_native[i], l_key[i]
        USING ERRCODE = 'LW003';
    END IF;
  END LOOP;

  FOR i IN 1 .. coalesce(array_length(m_entity, 1), 0) LOOP
    IF m_key[i] IS NULL THEN
      DELETE FROM ${s}.matches WHERE entity = m_entity[i] AND match_key = m_match[i];
    ELSE
      INSERT INTO ${s}.matches AS matches VALUES (m_entity[i], m_match[i], m_key[i])
      ON CONFLICT (entity, match_key) DO UPDATE SET canonical_key = excluded.canonical_key
      WHERE matches.canonical_key = excluded.canonical_key;
      IF NOT FOUND THEN
        RAISE EXCEPTION 'match key % of % belongs to another record than %', m_match[i], m_entity[i], m_key[i] USING ERRCODE = 'LW003';
      END IF;
    END IF;
  END LOOP;

  FOR i IN 1 .. coalesce(array_length(i_entity, 1), 0) LOOP
    IF i_gone[i] THEN
      DELETE FROM ${s}.hints WHERE entity = i_entity[i] AND hint = i_hint[i] AND canonical_key = i_key[i];
    ELSE
      INSERT INTO ${s}.hints VALUES (i_entity[i], i_hint[i], i_key[i]) ON CONFLICT DO NOTHING;
    END IF;
  END LOOP;

  IF array_length(d_seq, 1) > 0 THEN
    DELETE FROM ${s}.held USING unnest(d_seq, d_entity) AS done (seq, entity)
    WHERE held.seq = done.seq AND held.entity = done.entity;
  END IF;
  IF array_length(h_seq, 1) > 0 THEN
    INSERT INTO ${s}.held
      SELECT DISTINCT ON (seq, entity) seq, entity, app, object, native, waits, body
      FROM unnest(h_seq, h_entity, h_app, h_object, h_native, h_waits, h_body) WITH ORDINALITY
        AS t (seq, entity, app, object, native, waits, body, n)
      ORDER BY seq, entity, n DESC
    ON CONFLICT (seq, entity) DO UPDATE SET waits_on = excluded.waits_on, body = excluded.body;
  END IF;
  IF array_length(c_key, 1) > 0 THEN
    INSERT INTO ${s}.conflicts (canonical_key, entity, path, reason, loser_app, winner_app, at_ms, body)
      SELECT key, entity, path, reason, loser, winner, at_ms, body
      FROM unnest(c_key, c_entity, c_path, c_reason, c_loser, c_winner, c_at, c_body) WITH ORDINALITY
        AS t (key, entity, path, reason, loser, winner, at_ms, body, n)
      ORDER BY n;
  END IF;
  FOR i IN 1 .. coalesce(array_length(n_kind, 1), 0) LOOP
    IF n_body[i] IS NULL THEN
      DELETE FROM ${s}.notes WHERE kind = n_kind[i] AND id = n_id[i];
    ELSE
      INSERT INTO ${s}.notes VALUES (n_kind[i], n_id[i], n_at[i], n_body[i])
      ON CONFLICT (kind, id) DO UPDATE SET at_ms = excluded.at_ms, body = excluded.body;
    END IF;
  END LOOP;
  IF p_consumer IS NOT NULL THEN
    INSERT INTO ${s}.cursors VALUES (p_consumer, p_position)
    ON CONFLICT (consumer) DO UPDATE SET position = excluded.position;
  END IF;
  RETURN v_commits;
END $fn$;

CREATE OR REPLACE FUNCTION ${s}.journal_append(
  p_epoch bigint,
  e_shard int[], e_at bigint[], e_mapping bigint[], e_type text[], e_app text[], e_object text[], e_native text[], e_dedup text[], e_body text[],
  f_app text[], f_feed text[], f_position text[]
) RETURNS bigint[] LANGUAGE plpgsql AS $fn$
DECLARE
  v_last bigint;
  v_current bigint;
  v_positions bigint[] := '{}';
  v_known boolean;
  i int;
BEGIN
  SELECT last, epoch INTO v_last, v_current FROM ${s}.journal_state FOR NO KEY UPDATE;
  IF v_current <> p_epoch THEN
    RAISE EXCEPTION 'owner % tried to append, the journal belongs to owner %', p_epoch, v_current USING ERRCODE = 'LW001';
  END IF;
  FOR i IN 1 .. coalesce(array_length(e_shard, 1), 0) LOOP
    v_known := false;
    IF e_dedup[i] IS NOT NULL THEN
      v_known := EXISTS (
        SELECT 1 FROM ${s}.journal WHERE dedup_key = e_dedup[i] AND app_id = e_app[i] AND object_id = e_object[i]
      );
    END IF;
    IF v_known THEN
      v_positions := v_positions || NULL::bigint;
    ELSE
      v_last := v_last + 1;
      v_positions := v_positions || v_last;
      INSERT INTO ${s}.journal VALUES
        (v_last, e_shard[i], e_at[i], e_mapping[i], e_type[i], e_app[i], e_object[i], e_native[i], e_dedup[i], e_body[i]);
    END IF;
  END LOOP;
  IF array_length(f_app, 1) > 0 THEN
    INSERT INTO ${s}.feeds AS feeds SELECT DISTINCT ON (app, feed) app, feed, position
      FROM unnest(f_app, f_feed, f_position) WITH ORDINALITY AS t (app, feed, position, n) ORDER BY app, feed, n DESC
    ON CONFLICT (app_id, feed) DO UPDATE SET position = excluded.position;
  END IF;
  UPDATE ${s}.journal_state SET last = v_last;
  RETURN v_positions;
END $fn$;
`
