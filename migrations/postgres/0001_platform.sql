-- The platform's schema on PostgreSQL. The same tables, columns and refusals stand in ../sqlite and ../mysql.
--
-- Times (*_at) are epoch microseconds. Flags are 0 or 1.
-- A refusal reads `table: reason`; tests and operators rely on these words.

CREATE TABLE settings (
  name  text NOT NULL PRIMARY KEY,
  value text NOT NULL
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE integrity_constraint_violation USING MESSAGE = format('%s: %s refused', TG_TABLE_NAME, TG_OP);
END $$;

-- Servers -------------------------------------------------------------------------------------------------------

CREATE TABLE servers (
  id         text    NOT NULL PRIMARY KEY,
  name       text    NOT NULL UNIQUE,
  host       text    NOT NULL,
  port       integer NOT NULL CHECK (port BETWEEN 1 AND 65535),
  ssh_user   text    NOT NULL,
  host_key   text    NOT NULL,
  created_by text    NOT NULL,
  created_at bigint  NOT NULL
);

CREATE FUNCTION servers_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (NEW.id, NEW.created_by, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.created_by, OLD.created_at) THEN
    RAISE integrity_constraint_violation USING MESSAGE = 'servers: immutable column';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER servers_update BEFORE UPDATE ON servers FOR EACH ROW EXECUTE FUNCTION servers_guard();
CREATE TRIGGER servers_delete BEFORE DELETE ON servers FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER servers_truncate BEFORE TRUNCATE ON servers FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Clients -------------------------------------------------------------------------------------------------------

CREATE TABLE clients (
  id                  text   NOT NULL PRIMARY KEY,
  server_id           text   NOT NULL REFERENCES servers (id),
  name                text   NOT NULL,
  serial              text   NOT NULL UNIQUE,
  status              text   NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'active', 'revoked')),
  fence               bigint NOT NULL DEFAULT 0 CHECK (fence >= 0),
  created_by          text   NOT NULL,
  created_at          bigint NOT NULL,
  activated_at        bigint,
  revoke_requested_at bigint,
  revoke_reason       text,
  revoked_at          bigint,
  cert_sha256         text,
  cert_not_before_at  bigint,
  cert_not_after_at   bigint
);

-- A name is free again once its client is revoked.
CREATE UNIQUE INDEX clients_live_name ON clients (server_id, name) WHERE status <> 'revoked';
CREATE INDEX clients_by_creation ON clients (created_at, id);
CREATE INDEX clients_by_server ON clients (server_id);

CREATE FUNCTION clients_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  refusal text;
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.status IS DISTINCT FROM 'pending' OR NEW.fence IS DISTINCT FROM 0
       OR num_nonnulls(NEW.activated_at, NEW.revoke_requested_at, NEW.revoke_reason, NEW.revoked_at,
                       NEW.cert_sha256, NEW.cert_not_before_at, NEW.cert_not_after_at) > 0 THEN
      refusal := 'illegal insert';
    END IF;
  ELSIF OLD.status = 'revoked' THEN
    refusal := 'revoked is final';
  ELSIF (NEW.id, NEW.server_id, NEW.name, NEW.serial, NEW.created_by, NEW.created_at)
        IS DISTINCT FROM (OLD.id, OLD.server_id, OLD.name, OLD.serial, OLD.created_by, OLD.created_at) THEN
    refusal := 'immutable column';
  ELSIF OLD.activated_at IS NOT NULL AND NEW.activated_at IS DISTINCT FROM OLD.activated_at
     OR OLD.cert_sha256 IS NOT NULL AND NEW.cert_sha256 IS DISTINCT FROM OLD.cert_sha256
     OR OLD.cert_not_before_at IS NOT NULL AND NEW.cert_not_before_at IS DISTINCT FROM OLD.cert_not_before_at
     OR OLD.cert_not_after_at IS NOT NULL AND NEW.cert_not_after_at IS DISTINCT FROM OLD.cert_not_after_at THEN
    refusal := 'set once';
  ELSIF OLD.revoke_requested_at IS NOT NULL
    AND (NEW.revoke_requested_at, NEW.revoke_reason)
        IS DISTINCT FROM (OLD.revoke_requested_at, OLD.revoke_reason) THEN
    refusal := 'revocation request is final';
  ELSIF NEW.fence < OLD.fence THEN
    refusal := 'fence fell';
  -- From the request on, nothing may become active; and nothing is revoked that nobody asked for.
  ELSIF NEW.status <> OLD.status AND NOT (
       OLD.status = 'pending' AND NEW.status = 'active' AND NEW.revoke_requested_at IS NULL
    OR OLD.status IN ('pending', 'active') AND NEW.status = 'revoked' AND NEW.revoke_requested_at IS NOT NULL) THEN
    refusal := 'illegal transition';
  ELSIF NEW.status <> 'revoked' AND NEW.revoked_at IS NOT NULL THEN
    refusal := 'illegal transition';
  END IF;
  IF refusal IS NOT NULL THEN
    RAISE integrity_constraint_violation USING MESSAGE = 'clients: ' || refusal;
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER clients_write BEFORE INSERT OR UPDATE ON clients FOR EACH ROW EXECUTE FUNCTION clients_guard();
CREATE TRIGGER clients_delete BEFORE DELETE ON clients FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER clients_truncate BEFORE TRUNCATE ON clients FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Jobs ----------------------------------------------------------------------------------------------------------

CREATE TABLE jobs (
  id             text    NOT NULL PRIMARY KEY,
  client_id      text    NOT NULL REFERENCES clients (id),
  kind           text    NOT NULL CHECK (kind IN ('provision', 'revoke')),
  state          text    NOT NULL DEFAULT 'queued'
                         CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'canceled')),
  step           text,
  attempts       integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
  max_attempts   integer NOT NULL CHECK (max_attempts >= 1),
  fence          bigint  NOT NULL DEFAULT 0 CHECK (fence >= 0),
  attempt        text,
  generation     bigint  NOT NULL DEFAULT 1 CHECK (generation >= 1),
  input          text    NOT NULL,
  requested_by   text    NOT NULL,
  request_id     text,
  retry_of       text,
  queued_at      bigint  NOT NULL,
  run_after_at   bigint  NOT NULL,
  rang_at        bigint  NOT NULL,
  lease_until_at bigint,
  started_at     bigint,
  finished_at    bigint,
  error_code     text,
  error_message  text
);

-- At most one unfinished job of a kind per client.
CREATE UNIQUE INDEX jobs_open ON jobs (client_id, kind) WHERE state IN ('queued', 'running');
CREATE INDEX jobs_due ON jobs (state, run_after_at);
CREATE INDEX jobs_by_client ON jobs (client_id, queued_at);
CREATE INDEX jobs_by_time ON jobs (queued_at, id);

CREATE FUNCTION jobs_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  refusal text;
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.state IS DISTINCT FROM 'queued' OR NEW.attempts IS DISTINCT FROM 0 OR NEW.fence IS DISTINCT FROM 0
       OR num_nonnulls(NEW.attempt, NEW.lease_until_at, NEW.started_at, NEW.finished_at) > 0 THEN
      refusal := 'illegal insert';
    END IF;
  ELSIF OLD.state IN ('succeeded', 'failed', 'canceled') THEN
    refusal := 'finished is final';
  ELSIF (NEW.id, NEW.client_id, NEW.kind, NEW.input, NEW.requested_by, NEW.queued_at, NEW.retry_of)
        IS DISTINCT FROM
        (OLD.id, OLD.client_id, OLD.kind, OLD.input, OLD.requested_by, OLD.queued_at, OLD.retry_of) THEN
    refusal := 'immutable column';
  ELSIF NEW.attempts < OLD.attempts OR NEW.fence < OLD.fence OR NEW.generation < OLD.generation THEN
    refusal := 'counter fell';
  ELSIF NEW.state <> OLD.state AND NOT (
       OLD.state = 'queued' AND NEW.state IN ('running', 'canceled')
    OR OLD.state = 'queued' AND NEW.state = 'failed' AND NEW.attempts >= NEW.max_attempts
    OR OLD.state = 'running' AND NEW.state IN ('succeeded', 'failed', 'queued')) THEN
    refusal := 'illegal transition';
  -- A new fence on a running job is a new start, too.
  ELSIF NEW.kind = 'provision' AND NEW.state IN ('running', 'succeeded')
    AND (NEW.state <> OLD.state OR NEW.fence <> OLD.fence) THEN
    -- The lock waits for a revocation that is about to commit; without it both could.
    PERFORM 1 FROM clients WHERE id = NEW.client_id AND revoke_requested_at IS NULL FOR SHARE;
    IF NOT FOUND THEN
      refusal := 'revocation requested';
    END IF;
  END IF;
  IF refusal IS NOT NULL THEN
    RAISE integrity_constraint_violation USING MESSAGE = 'jobs: ' || refusal;
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER jobs_write BEFORE INSERT OR UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION jobs_guard();
CREATE TRIGGER jobs_delete BEFORE DELETE ON jobs FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER jobs_truncate BEFORE TRUNCATE ON jobs FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Audit log -----------------------------------------------------------------------------------------------------

-- leaf_hash is a chain link and an RFC 6962 leaf at once.
CREATE TABLE audit_log (
  seq       bigint NOT NULL PRIMARY KEY CHECK (seq > 0),
  prev_hash bytea  NOT NULL CHECK (octet_length(prev_hash) = 32),
  canonical bytea  NOT NULL,
  leaf_hash bytea  NOT NULL UNIQUE,
  at        bigint NOT NULL,
  actor     text   NOT NULL,
  action    text   NOT NULL,
  outcome   text   NOT NULL,
  client_id text,
  job_id    text,
  CONSTRAINT audit_log_leaf_hash CHECK (leaf_hash = sha256('\x00'::bytea || int8send(seq) || prev_hash || canonical))
);

CREATE INDEX audit_log_by_client ON audit_log (client_id, seq);
CREATE INDEX audit_log_by_job ON audit_log (job_id, seq);
CREATE INDEX audit_log_by_actor ON audit_log (actor, seq);
CREATE INDEX audit_log_by_action ON audit_log (action, seq);

-- The last entry. One row, locked by each writer, so that two cannot both extend the chain.
CREATE TABLE audit_head (
  one       smallint NOT NULL PRIMARY KEY DEFAULT 1 CHECK (one = 1),
  seq       bigint   NOT NULL CHECK (seq >= 0),
  leaf_hash bytea    NOT NULL CHECK (octet_length(leaf_hash) = 32)
);

INSERT INTO audit_head (one, seq, leaf_hash) VALUES (1, 0, decode(repeat('00', 32), 'hex'));

CREATE FUNCTION audit_log_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM audit_head WHERE one = 1 AND seq + 1 = NEW.seq AND leaf_hash = NEW.prev_hash;
  IF NOT FOUND THEN
    RAISE integrity_constraint_violation USING MESSAGE = 'audit_log: must extend the head';
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION audit_head_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM audit_log
    WHERE NEW.one = OLD.one AND NEW.seq = OLD.seq + 1 AND seq = NEW.seq AND leaf_hash = NEW.leaf_hash;
  IF NOT FOUND THEN
    RAISE integrity_constraint_violation USING MESSAGE = 'audit_head: must follow the log';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER audit_log_insert BEFORE INSERT ON audit_log FOR EACH ROW EXECUTE FUNCTION audit_log_guard();
CREATE TRIGGER audit_log_change BEFORE UPDATE OR DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_log_truncate BEFORE TRUNCATE ON audit_log FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TRIGGER audit_head_update BEFORE UPDATE ON audit_head FOR EACH ROW EXECUTE FUNCTION audit_head_guard();
CREATE TRIGGER audit_head_change BEFORE INSERT OR DELETE ON audit_head FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_head_truncate BEFORE TRUNCATE ON audit_head FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Tokens --------------------------------------------------------------------------------------------------------

CREATE TABLE tokens (
  id           text   NOT NULL PRIMARY KEY,
  principal    text   NOT NULL,
  role         text   NOT NULL CHECK (role IN ('viewer', 'operator', 'auditor', 'admin')),
  secret_hash  bytea  NOT NULL CHECK (octet_length(secret_hash) = 32),
  created_by   text   NOT NULL,
  created_at   bigint NOT NULL,
  expires_at   bigint NOT NULL,
  revoked_at   bigint,
  revoked_by   text,
  last_used_at bigint
);

CREATE FUNCTION tokens_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  refusal text;
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF num_nonnulls(NEW.revoked_at, NEW.revoked_by, NEW.last_used_at) > 0 THEN
      refusal := 'illegal insert';
    END IF;
  ELSIF (NEW.id, NEW.principal, NEW.role, NEW.secret_hash, NEW.created_by, NEW.created_at, NEW.expires_at)
        IS DISTINCT FROM
        (OLD.id, OLD.principal, OLD.role, OLD.secret_hash, OLD.created_by, OLD.created_at, OLD.expires_at) THEN
    refusal := 'immutable column';
  ELSIF OLD.revoked_at IS NOT NULL
    AND (NEW.revoked_at, NEW.revoked_by) IS DISTINCT FROM (OLD.revoked_at, OLD.revoked_by) THEN
    refusal := 'revoked is final';
  END IF;
  IF refusal IS NOT NULL THEN
    RAISE integrity_constraint_violation USING MESSAGE = 'tokens: ' || refusal;
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER tokens_write BEFORE INSERT OR UPDATE ON tokens FOR EACH ROW EXECUTE FUNCTION tokens_guard();
CREATE TRIGGER tokens_delete BEFORE DELETE ON tokens FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER tokens_truncate BEFORE TRUNCATE ON tokens FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Profiles ------------------------------------------------------------------------------------------------------

-- The sealed profile waits here for its one delivery, then it is gone for good.
CREATE TABLE profiles (
  client_id    text     NOT NULL PRIMARY KEY REFERENCES clients (id),
  sealed       bytea,
  has_key      smallint NOT NULL CHECK (has_key IN (0, 1)),
  stored_at    bigint   NOT NULL,
  delivered_at bigint,
  delivered_to text,
  destroyed_at bigint
);

CREATE FUNCTION profiles_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  refusal text;
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.sealed IS NULL OR num_nonnulls(NEW.delivered_at, NEW.delivered_to, NEW.destroyed_at) > 0 THEN
      refusal := 'illegal insert';
    END IF;
  ELSIF NEW.client_id IS DISTINCT FROM OLD.client_id THEN
    refusal := 'immutable column';
  ELSIF OLD.delivered_at IS NOT NULL
     AND (NEW.delivered_at, NEW.delivered_to) IS DISTINCT FROM (OLD.delivered_at, OLD.delivered_to)
     OR OLD.destroyed_at IS NOT NULL AND NEW.destroyed_at IS DISTINCT FROM OLD.destroyed_at THEN
    refusal := 'set once';
  -- Forgetting is always allowed.
  ELSIF NEW.sealed IS NOT NULL AND NEW.sealed IS DISTINCT FROM OLD.sealed
    AND (OLD.sealed IS NULL OR OLD.delivered_at IS NOT NULL OR OLD.destroyed_at IS NOT NULL) THEN
    refusal := 'gone is final';
  END IF;
  IF refusal IS NOT NULL THEN
    RAISE integrity_constraint_violation USING MESSAGE = 'profiles: ' || refusal;
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER profiles_write BEFORE INSERT OR UPDATE ON profiles FOR EACH ROW EXECUTE FUNCTION profiles_guard();
CREATE TRIGGER profiles_delete BEFORE DELETE ON profiles FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER profiles_truncate BEFORE TRUNCATE ON profiles FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Idempotency keys ----------------------------------------------------------------------------------------------

-- The first answer to a request, kept for a day; the only table whose rows may be deleted.
CREATE TABLE idempotency_keys (
  principal    text   NOT NULL,
  idem_key     text   NOT NULL,
  operation    text   NOT NULL,
  request_hash bytea  NOT NULL CHECK (octet_length(request_hash) = 32),
  client_id    text,
  job_id       text,
  server_id    text,
  created_at   bigint NOT NULL,
  PRIMARY KEY (principal, idem_key)
);

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

-- What makes the triggers hard to step around --------------------------------------------------------------------

DO $$
DECLARE
  guard record;
BEGIN
  -- Without ALWAYS, `session_replication_role = replica` skips them.
  -- Without a fixed search_path, a temporary table named audit_head or clients would be read in place of ours.
  FOR guard IN
    SELECT t.tgrelid::regclass AS on_table, t.tgname AS name, t.tgfoid::regprocedure AS function
    FROM pg_trigger t
    WHERE NOT t.tgisinternal
      AND t.tgrelid IN ('servers'::regclass, 'clients'::regclass, 'jobs'::regclass, 'audit_log'::regclass,
                        'audit_head'::regclass, 'tokens'::regclass, 'profiles'::regclass)
  LOOP
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', guard.on_table, guard.name);
    EXECUTE format('ALTER FUNCTION %s SET search_path = pg_catalog, %I, pg_temp', guard.function, current_schema());
  END LOOP;
END $$;
