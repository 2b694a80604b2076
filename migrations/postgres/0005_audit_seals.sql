-- Sealed entries: the first `until_seq` entries were exported to a file, and may be removed from then on. What is
-- kept here is all that the rest of the log needs to be proven: the hash of the last sealed entry, and the roots of
-- the perfect subtrees over all sealed ones, the largest first, 32 bytes each. `told_by` is the entry
-- `audit.sealed`, which says the same in the log.
CREATE TABLE audit_seals (
  until_seq   bigint NOT NULL PRIMARY KEY CHECK (until_seq > 0),
  told_by     bigint NOT NULL UNIQUE CHECK (told_by > until_seq),
  leaf_hash   bytea  NOT NULL CHECK (octet_length(leaf_hash) = 32),
  roots       bytea  NOT NULL CHECK (octet_length(roots) > 0 AND octet_length(roots) % 32 = 0),
  file        text   NOT NULL,
  file_sha256 bytea  NOT NULL CHECK (octet_length(file_sha256) = 32)
);

-- Only what is there is sealed, only further on, and only when the log's last entry tells of it. An empty log may
-- take all of them: it is being restored from a backup.
CREATE FUNCTION audit_seals_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM audit_head h
    WHERE h.one = 1
      AND (h.seq = 0 OR h.seq = NEW.told_by
        AND EXISTS (SELECT 1 FROM audit_log WHERE seq = NEW.until_seq AND leaf_hash = NEW.leaf_hash)
        AND EXISTS (SELECT 1 FROM audit_log WHERE seq = NEW.told_by AND action = 'audit.sealed'))
      AND NOT EXISTS (SELECT 1 FROM audit_seals WHERE until_seq >= NEW.until_seq OR told_by >= NEW.told_by);
  IF NOT FOUND THEN
    RAISE integrity_constraint_violation USING MESSAGE = 'audit_seals: must be what the log tells';
  END IF;
  RETURN NEW;
END $$;

-- The one way out of the log.
CREATE FUNCTION audit_log_delete_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM audit_seals WHERE until_seq >= OLD.seq;
  IF NOT FOUND THEN
    RAISE integrity_constraint_violation USING MESSAGE = 'audit_log: DELETE refused';
  END IF;
  RETURN OLD;
END $$;

-- A restored log begins behind what was sealed.
CREATE OR REPLACE FUNCTION audit_head_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM audit_log
    WHERE NEW.one = OLD.one AND NEW.seq = OLD.seq + 1 AND seq = NEW.seq AND leaf_hash = NEW.leaf_hash;
  IF NOT FOUND THEN
    PERFORM 1 FROM audit_seals
      WHERE NEW.one = OLD.one AND OLD.seq = 0 AND until_seq = NEW.seq AND leaf_hash = NEW.leaf_hash
        AND NOT EXISTS (SELECT 1 FROM audit_log);
  END IF;
  IF NOT FOUND THEN
    RAISE integrity_constraint_violation USING MESSAGE = 'audit_head: must follow the log';
  END IF;
  RETURN NEW;
END $$;

DROP TRIGGER audit_log_change ON audit_log;
CREATE TRIGGER audit_log_change BEFORE UPDATE ON audit_log FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_log_delete BEFORE DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION audit_log_delete_guard();

CREATE TRIGGER audit_seals_insert BEFORE INSERT ON audit_seals FOR EACH ROW EXECUTE FUNCTION audit_seals_guard();
CREATE TRIGGER audit_seals_change BEFORE UPDATE OR DELETE ON audit_seals FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_seals_truncate BEFORE TRUNCATE ON audit_seals
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- As in 0001: not to be stepped around by a replica role or a temporary table.
DO $$
DECLARE
  guard record;
BEGIN
  FOR guard IN
    SELECT t.tgrelid::regclass AS on_table, t.tgname AS name, t.tgfoid::regprocedure AS function
    FROM pg_trigger t
    WHERE NOT t.tgisinternal
      AND t.tgrelid IN ('audit_log'::regclass, 'audit_head'::regclass, 'audit_seals'::regclass)
  LOOP
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', guard.on_table, guard.name);
    EXECUTE format('ALTER FUNCTION %s SET search_path = pg_catalog, %I, pg_temp', guard.function, current_schema());
  END LOOP;
END $$;
