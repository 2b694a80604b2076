-- The two-person rule: what waits for a second person, and what became of it.

CREATE TABLE approvals (
  id           text   NOT NULL PRIMARY KEY,
  operation    text   NOT NULL,
  input        text   NOT NULL,
  client_id    text   REFERENCES clients (id),
  requested_by text   NOT NULL,
  role         text   NOT NULL CHECK (role IN ('viewer', 'operator', 'auditor', 'admin')),
  scopes       text   NOT NULL CHECK (scopes <> ''),
  credential   text,
  request_id   text   NOT NULL,
  requested_at bigint NOT NULL,
  expires_at   bigint NOT NULL CHECK (expires_at > requested_at),
  state        text   NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'approved', 'denied', 'expired')),
  decided_by   text,
  decided_at   bigint,
  reason       text,
  job_id       text,
  CONSTRAINT approvals_two_people CHECK (decided_by IS NULL OR lower(decided_by) <> lower(requested_by)),
  CONSTRAINT approvals_decided CHECK ((state IN ('approved', 'denied')) = (decided_by IS NOT NULL)
                                      AND (state = 'pending') = (decided_at IS NULL)),
  CONSTRAINT approvals_in_time CHECK (state <> 'approved' OR decided_at < expires_at)
);

CREATE INDEX approvals_by_state ON approvals (state, id);

ALTER TABLE idempotency_keys ADD COLUMN approval_id text;

CREATE FUNCTION approvals_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  refusal text;
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.state IS DISTINCT FROM 'pending'
       OR num_nonnulls(NEW.decided_by, NEW.decided_at, NEW.reason, NEW.job_id) > 0 THEN
      refusal := 'illegal insert';
    END IF;
  ELSIF OLD.state <> 'pending' THEN
    refusal := 'decided is final';
  ELSIF (NEW.id, NEW.operation, NEW.input, NEW.client_id, NEW.requested_by, NEW.role, NEW.scopes, NEW.credential,
         NEW.request_id, NEW.requested_at, NEW.expires_at)
        IS DISTINCT FROM
        (OLD.id, OLD.operation, OLD.input, OLD.client_id, OLD.requested_by, OLD.role, OLD.scopes, OLD.credential,
         OLD.request_id, OLD.requested_at, OLD.expires_at) THEN
    refusal := 'immutable column';
  END IF;
  IF refusal IS NOT NULL THEN
    RAISE integrity_constraint_violation USING MESSAGE = 'approvals: ' || refusal;
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER approvals_write BEFORE INSERT OR UPDATE ON approvals FOR EACH ROW EXECUTE FUNCTION approvals_guard();
CREATE TRIGGER approvals_delete BEFORE DELETE ON approvals FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER approvals_truncate BEFORE TRUNCATE ON approvals FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- See the end of 0001.
ALTER TABLE approvals ENABLE ALWAYS TRIGGER approvals_write;
ALTER TABLE approvals ENABLE ALWAYS TRIGGER approvals_delete;
ALTER TABLE approvals ENABLE ALWAYS TRIGGER approvals_truncate;

DO $$
BEGIN
  EXECUTE format('ALTER FUNCTION approvals_guard() SET search_path = pg_catalog, %I, pg_temp', current_schema());
END $$;
