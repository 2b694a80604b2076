//! One test, three databases.

/// Makes three tests of each function, `sqlite`, `postgres` and `mariadb`, so that a failure names the
/// database. The functions take a [`World`](crate::World) on a fresh, migrated database.
#[macro_export]
macro_rules! on_every_database {
    ($($test:ident),+ $(,)?) => {
        $crate::on_every_database!(@on sqlite, Sqlite, $($test),+);
        $crate::on_every_database!(@on postgres, Postgres, $($test),+);
        $crate::on_every_database!(@on mariadb, MariaDb, $($test),+);
    };
    (@on $module:ident, $database:ident, $($test:ident),+) => {
        mod $module {
            $(
                #[tokio::test]
                async fn $test() -> anyhow::Result<()> {
                    super::$test($crate::World::on($crate::Database::$database).await?).await
                }
            )+
        }
    };
}

/// The same for functions that take a [`TestPlatform`](crate::TestPlatform).
#[macro_export]
macro_rules! whole_on_every_database {
    ($($test:ident),+ $(,)?) => {
        $crate::whole_on_every_database!(@on sqlite, Sqlite, $($test),+);
        $crate::whole_on_every_database!(@on postgres, Postgres, $($test),+);
        $crate::whole_on_every_database!(@on mariadb, MariaDb, $($test),+);
    };
    (@on $module:ident, $database:ident, $($test:ident),+) => {
        mod $module {
            $(
                #[tokio::test]
                async fn $test() -> anyhow::Result<()> {
                    super::$test($crate::TestPlatform::on($crate::Database::$database).await?).await
                }
            )+
        }
    };
}
