-- Links to profiles: each good for one delivery, for a short time. Only the hash of what opens one is here.
CREATE TABLE profile_links (
  id          text   NOT NULL PRIMARY KEY,
  client_id   text   NOT NULL REFERENCES clients (id),
  secret_hash bytea  NOT NULL UNIQUE CHECK (octet_length(secret_hash) = 32),
  created_by  text   NOT NULL,
  created_at  bigint NOT NULL,
  expires_at  bigint NOT NULL,
  used_at     bigint
);

CREATE INDEX profile_links_by_client ON profile_links (client_id, expires_at);

CREATE FUNCTION profile_links_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  refusal text;
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.used_at IS NOT NULL THEN
      refusal := 'illegal insert';
    END IF;
  ELSIF (NEW.id, NEW.client_id, NEW.secret_hash, NEW.created_by, NEW.created_at, NEW.expires_at)
     IS DISTINCT FROM (OLD.id, OLD.client_id, OLD.secret_hash, OLD.created_by, OLD.created_at, OLD.expires_at) THEN
    refusal := 'immutable column';
  ELSIF OLD.used_at IS NOT NULL AND NEW.used_at IS DISTINCT FROM OLD.used_at THEN
    refusal := 'set once';
  END IF;
  IF refusal IS NOT NULL THEN
    RAISE integrity_constraint_violation USING MESSAGE = 'profile_links: ' || refusal;
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER profile_links_write BEFORE INSERT OR UPDATE ON profile_links
  FOR EACH ROW EXECUTE FUNCTION profile_links_guard();
CREATE TRIGGER profile_links_delete BEFORE DELETE ON profile_links FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER profile_links_truncate BEFORE TRUNCATE ON profile_links
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

ALTER TABLE profile_links ENABLE ALWAYS TRIGGER profile_links_write;
ALTER TABLE profile_links ENABLE ALWAYS TRIGGER profile_links_delete;
ALTER TABLE profile_links ENABLE ALWAYS TRIGGER profile_links_truncate;

DO $$
BEGIN
  EXECUTE format('ALTER FUNCTION profile_links_guard() SET search_path = pg_catalog, %I, pg_temp', current_schema());
END $$;
