-- What may be done on a VPN host. `unconfirmed`: nobody has compared its host key yet, so nothing is asked of it and
-- `host_key` is empty. `disabled`: nobody is let in there, revocations go on. `retired`: gone, for good.
ALTER TABLE servers ADD COLUMN state TEXT NOT NULL DEFAULT 'active'
  CHECK (state IN ('unconfirmed', 'active', 'disabled', 'retired'));

CREATE TRIGGER servers_state_insert BEFORE INSERT ON servers
WHEN coalesce(NEW.host_key, '') = '' AND coalesce(NEW.state, 'active') NOT IN ('unconfirmed', 'retired')
BEGIN SELECT RAISE(ABORT, 'servers: no host key'); END;

CREATE TRIGGER servers_state BEFORE UPDATE ON servers
BEGIN
  SELECT CASE
    WHEN OLD.state = 'retired'
      THEN RAISE(ABORT, 'servers: retired is final')
    WHEN NEW.state IS NOT OLD.state AND NOT coalesce(
         OLD.state IN ('unconfirmed', 'disabled') AND NEW.state = 'active'
      OR OLD.state = 'active' AND NEW.state = 'disabled'
      OR NEW.state = 'retired',
      FALSE)
      THEN RAISE(ABORT, 'servers: illegal transition')
    WHEN coalesce(NEW.host_key, '') = '' AND NEW.state NOT IN ('unconfirmed', 'retired')
      THEN RAISE(ABORT, 'servers: no host key')
    WHEN NEW.state = 'retired'
      AND EXISTS (SELECT 1 FROM clients WHERE server_id = NEW.id AND status <> 'revoked')
      THEN RAISE(ABORT, 'servers: has clients')
  END;
END;
