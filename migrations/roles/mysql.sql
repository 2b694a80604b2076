-- What the programs may do on MariaDB and MySQL, and no more. To be run in the platform's database by
-- whoever ran `vpn-graphql migrate`, who needs GRANT OPTION, after each `migrate`; it may be run again.
-- Before it, an administrator makes the accounts:
--
--   CREATE USER 'vpn_app'@'%'     IDENTIFIED BY '…';  -- vpn-graphql serve, vpn-graphql token, vpn-graphql backup, vpn-worker
--   CREATE USER 'vpn_auditor'@'%' IDENTIFIED BY '…';  -- vpn-graphql audit verify, export, checkpoint
--
-- Who has neither DROP, ALTER nor TRIGGER cannot drop or truncate a table, or take its triggers away.
GRANT SELECT ON settings TO 'vpn_app'@'%';
GRANT SELECT, INSERT, UPDATE (state, host_key) ON servers TO 'vpn_app'@'%';
GRANT SELECT, INSERT, UPDATE ON server_contacts TO 'vpn_app'@'%';
GRANT SELECT, INSERT, UPDATE ON server_drifts TO 'vpn_app'@'%';
GRANT SELECT, INSERT, UPDATE ON clients TO 'vpn_app'@'%';
GRANT SELECT, INSERT, UPDATE ON jobs TO 'vpn_app'@'%';
GRANT SELECT, INSERT ON audit_log TO 'vpn_app'@'%';
GRANT SELECT, UPDATE ON audit_head TO 'vpn_app'@'%';
GRANT SELECT, INSERT, UPDATE ON approvals TO 'vpn_app'@'%';
GRANT SELECT ON audit_seals TO 'vpn_app'@'%';
GRANT SELECT, INSERT ON audit_values TO 'vpn_app'@'%';
GRANT SELECT, INSERT, UPDATE ON tokens TO 'vpn_app'@'%';
GRANT SELECT, INSERT, UPDATE ON profiles TO 'vpn_app'@'%';
GRANT SELECT, INSERT, UPDATE ON profile_links TO 'vpn_app'@'%';
GRANT SELECT, INSERT, DELETE ON idempotency_keys TO 'vpn_app'@'%';
-- A backup says of which version it is.
GRANT SELECT ON _sqlx_migrations TO 'vpn_app'@'%';

GRANT SELECT ON settings TO 'vpn_auditor'@'%';
GRANT SELECT ON audit_log TO 'vpn_auditor'@'%';
GRANT SELECT ON audit_head TO 'vpn_auditor'@'%';
GRANT SELECT ON audit_seals TO 'vpn_auditor'@'%';
GRANT SELECT ON audit_values TO 'vpn_auditor'@'%';
