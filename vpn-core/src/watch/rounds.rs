//! Rounds over the VPN hosts: each that is due is seen to, side by side.

use std::{collections::HashMap, future::Future, time::Duration};

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
    // Those that were begun since the last tick stay in it, ended or not: who is due again at once, because nothing could
    // be written down, waits for the next.
    let (mut tasks, mut begun) = (JoinSet::new(), HashMap::<ServerId, AbortHandle>::new());
    let mut rounds = tokio::time::interval((who.every() / 10).clamp(Duration::from_millis(50), AT_LEAST));
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let ended = tokio::select! {
            () = stop.cancelled() => break,
            _ = rounds.tick() => {
                begun.retain(|_, task| !task.is_finished());
                None
            }
            // Whoever is due and found no room has some now.
            ended = tasks.join_next(), if tasks.len() >= R::AT_ONCE => ended,
        };
        for ended in ended.into_iter().chain(std::iter::from_fn(|| tasks.try_join_next())) {
            if let Err(error) = ended {
                tracing::error!(%error, "a look at a VPN host ended in disorder");
            }
        }
        for server in who.due().await {
            // What finds no room now is still due later.
            if tasks.len() < R::AT_ONCE && !begun.contains_key(&server.id) {
                begun.insert(server.id, tasks.spawn(who.clone().see_to(server)));
            }
        }
    }
    tasks.shutdown().await;
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::{
        clock::{Ambient, Timestamp},
        domain::{ServerAddress, ServerState},
    };

    /// Two hosts that stay due, because nothing can be written down.
    #[derive(Clone)]
    struct Forgetful {
        due: [Server; 2],
        seen: Arc<Mutex<Vec<ServerId>>>,
    }

    impl Rounds for Forgetful {
        const AT_ONCE: usize = 1;

        fn every(&self) -> Duration {
            Duration::from_hours(1)
        }

        async fn due(&self) -> Vec<Server> {
            self.due.to_vec()
        }

        async fn see_to(self, server: Server) {
            self.seen.lock().unwrap().push(server.id);
        }
    }

    fn server() -> Server {
        Server {
            id: ServerId::generate(&Ambient::system()),
            name: "vpn1".parse().unwrap(),
            address: ServerAddress::new("vpn.example.org", 22, "vpn-host").unwrap(),
            host_key: None,
            state: ServerState::Active,
            created_by: "test".to_owned(),
            created_at: Timestamp::from_seconds(0),
        }
    }

    #[tokio::test]
    async fn who_found_no_room_is_seen_to_at_once_and_who_is_due_again_waits_for_the_next_round() {
        let who = Forgetful { due: [server(), server()], seen: Arc::default() };
        let stop = CancellationToken::new();
        let rounds = tokio::spawn(go_round(who.clone(), stop.clone()));
        while who.seen.lock().unwrap().len() < who.due.len() {
            tokio::task::yield_now().await;
        }
        // On one thread: by then it has done all that it does before an hour is over.
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(*who.seen.lock().unwrap(), who.due.each_ref().map(|server| server.id));
        stop.cancel();
        rounds.await.unwrap();
    }
}
