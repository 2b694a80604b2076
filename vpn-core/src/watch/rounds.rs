//! Rounds over the VPN hosts: each that is due is seen to, side by side.

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    time::Duration,
};

use tokio::{
    task::{AbortHandle, JoinSet},
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

use crate::domain::{Server, ServerId};

/// The longest between two rounds: a host that is new is seen to by then.
const AT_LEAST: Duration = Duration::from_mins(1);

/// What is done to a host from time to time.
pub(super) trait Rounds: Clone + Send + Sync + 'static {
    /// Hosts that are seen to side by side.
    const AT_ONCE: usize;

    /// How often.
    fn every(&self) -> Duration;

    /// Whose turn it is.
    fn due(&self) -> impl Future<Output = Vec<Server>> + Send;

    /// Sees to one host, unless somebody else just has.
    fn see_to(self, server: Server) -> impl Future<Output = ()> + Send;
}

/// Goes round until it is told to stop. What is under way then is given up, and done when it is due again.
pub(super) async fn go_round<R: Rounds>(who: R, stop: CancellationToken) {
    let (mut tasks, mut under_way) = (JoinSet::new(), HashMap::<ServerId, AbortHandle>::new());
    // Since the last tick: whoever is due again at once, because nothing could be written down, waits for the next.
    let mut begun = HashSet::new();
    let mut rounds = tokio::time::interval((who.every() / 10).clamp(Duration::from_millis(50), AT_LEAST));
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let mut ended = tokio::select! {
            () = stop.cancelled() => break,
            _ = rounds.tick() => {
                begun.clear();
                tasks.try_join_next()
            }
            // Whoever is due and found no room has some now.
            ended = tasks.join_next(), if tasks.len() >= R::AT_ONCE => ended,
        };
        while let Some(how) = ended {
            if let Err(error) = how {
                tracing::error!(%error, "a look at a VPN host ended in disorder");
            }
            ended = tasks.try_join_next();
        }
        under_way.retain(|_, task| !task.is_finished());
        for server in who.due().await {
            // What finds no room now is still due later.
            if tasks.len() < R::AT_ONCE && !under_way.contains_key(&server.id) && begun.insert(server.id) {
                under_way.insert(server.id, tasks.spawn(who.clone().see_to(server)));
            }
        }
    }
    tasks.shutdown().await;
}
