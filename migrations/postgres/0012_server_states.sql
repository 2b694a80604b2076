-- What may be done on a VPN host. `unconfirmed`: nobody has compared its host key yet, so nothing is asked of it and
-- `host_key` is empty. `disabled`: nobody is let in there, revocations go on. `retired`: gone, for good.
ALTER TABLE servers ADD COLUMN state text NOT NULL DEFAULT 'active'
  CHECK (state IN ('unconfirmed', 'active', 'disabled', 'retired'));

CREATE FUNCTION servers_state_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  refusal text;
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF OLD.state = 'retired' THEN
      refusal := 'retired is final';
    ELSIF NEW.state IS DISTINCT FROM OLD.state AND NOT coalesce(
         OLD.state IN ('unconfirmed', 'disabled') AND NEW.state = 'active'
      OR OLD.state = 'active' AND NEW.state = 'disabled'
      OR NEW.state = 'retired',
      FALSE) THEN
      refusal := 'illegal transition';
    ELSIF NEW.state = 'retired'
      AND EXISTS (SELECT 1 FROM clients WHERE server_id = NEW.id AND status <> 'revoked') THEN
      refusal := 'has clients';
    END IF;
  END IF;
  IF refusal IS NULL AND coalesce(NEW.host_key, '') = '' AND NEW.state NOT IN ('unconfirmed', 'retired') THEN
    refusal := 'no host key';
  END IF;
  IF refusal IS NOT NULL THEN
    RAISE integrity_constraint_violation USING MESSAGE = 'servers: ' || refusal;
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER servers_state BEFORE INSERT OR UPDATE ON servers FOR EACH ROW EXECUTE FUNCTION servers_state_guard();
