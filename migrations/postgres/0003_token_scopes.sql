-- What of its role a token may be used for. Older tokens may be used for all of it, as before.
ALTER TABLE tokens ADD COLUMN scopes text NOT NULL DEFAULT 'read,clients,audit,servers,tokens,approvals'
  CONSTRAINT tokens_scopes CHECK (scopes <> '');

CREATE INDEX tokens_by_principal ON tokens (principal, id);

CREATE OR REPLACE FUNCTION tokens_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  refusal text;
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF num_nonnulls(NEW.revoked_at, NEW.revoked_by, NEW.last_used_at) > 0 THEN
      refusal := 'illegal insert';
    END IF;
  ELSIF (NEW.id, NEW.principal, NEW.role, NEW.scopes, NEW.secret_hash, NEW.created_by, NEW.created_at, NEW.expires_at)
        IS DISTINCT FROM
        (OLD.id, OLD.principal, OLD.role, OLD.scopes, OLD.secret_hash, OLD.created_by, OLD.created_at, OLD.expires_at)
  THEN
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

-- A function that is replaced loses its search_path; see the end of 0001.
DO $$
BEGIN
  EXECUTE format('ALTER FUNCTION tokens_guard() SET search_path = pg_catalog, %I, pg_temp', current_schema());
END $$;
