//! A TCP proxy that loses replies, holds them back, and cuts connections.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

const BUFFER: usize = 16 * 1024;

/// A way to a service on loopback that fails on demand.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    state: Arc<State>,
    listener: JoinHandle<()>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Held {
    requests: bool,
    replies: bool,
}

#[derive(Debug)]
struct State {
    /// The service behind the proxy.
    target: u16,
    /// What does not pass for the time being.
    held: watch::Sender<Held>,
    /// Counts the cuts: a connection ends when it changes.
    cuts: watch::Sender<u64>,
    /// The reply with this number from now on ends its connection instead of being delivered; 0: none.
    lose_at: AtomicUsize,
    /// The same for the next reply to a request with these bytes.
    lose_reply_to: Mutex<Option<String>>,
    /// New connections are closed at once.
    refusing: AtomicBool,
    lost: AtomicUsize,
}

impl Proxy {
    /// In front of a port of 127.0.0.1. Changes nothing until it is told to.
    pub async fn before(target: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(State {
            target,
            held: watch::Sender::default(),
            cuts: watch::Sender::new(0),
            lose_at: AtomicUsize::new(0),
            lose_reply_to: Mutex::default(),
            refusing: AtomicBool::new(false),
            lost: AtomicUsize::new(0),
        });
        let serving = Arc::clone(&state);
        let listener = tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&serving).carry(caller));
            }
        });
        Ok(Self { port, state, listener })
    }

    /// The port to connect to.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The next reply is lost together with its connection, as if the network broke just then.
    pub fn lose_next_reply(&self) {
        self.lose_reply_number(1);
    }

    /// The same for the reply with this number from now on: 1 is the next.
    pub fn lose_reply_number(&self, number: usize) {
        self.state.lose_at.store(number, Ordering::SeqCst);
    }

    /// The reply to the next request that contains these words is lost, in the same way.
    pub fn lose_reply_to(&self, words: &str) {
        *self.state.wanted() = Some(words.to_owned());
    }

    /// How many replies were lost.
    #[must_use]
    pub fn lost_replies(&self) -> usize {
        self.state.lost.load(Ordering::SeqCst)
    }

    /// Holds replies back; they come in order once they are no longer held. Requests pass.
    pub fn hold_replies(&self, held: bool) {
        self.state.held.send_replace(Held { requests: false, replies: held });
    }

    /// Nothing passes in either direction, and no connection ends.
    pub fn partition(&self, parted: bool) {
        self.state.held.send_replace(Held { requests: parted, replies: parted });
    }

    /// Ends all connections.
    pub fn cut(&self) {
        self.state.cuts.send_modify(|count| *count += 1);
    }

    /// Closes new connections at once, or serves them again.
    pub fn refuse(&self, refusing: bool) {
        self.state.refusing.store(refusing, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listener.abort();
        self.cut();
    }
}

impl State {
    /// Counts a reply; whether it is the one that is to be lost.
    fn lose_this(&self) -> bool {
        let one_less = |left: usize| left.checked_sub(1);
        self.lose_at.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less) == Ok(1)
    }

    fn wanted(&self) -> MutexGuard<'_, Option<String>> {
        self.lose_reply_to.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this request's reply is to be lost.
    fn is_wanted(&self, request: &[u8]) -> bool {
        let found = |words: &String| request.windows(words.len()).any(|part| part == words.as_bytes());
        self.wanted().take_if(|words| found(words)).is_some()
    }

    async fn carry(self: Arc<Self>, caller: TcpStream) {
        let mut cuts = self.cuts.subscribe();
        if self.refusing.load(Ordering::SeqCst) {
            return;
        }
        let Ok(service) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.target)).await else { return };
        let (from_caller, to_caller) = caller.into_split();
        let (from_service, to_service) = service.into_split();
        let lose = AtomicBool::new(false);
        // Whichever ends first takes the other with it, and all four halves are dropped.
        tokio::select! {
            biased;
            _ = cuts.changed() => {}
            () = self.requests(from_caller, to_service, &lose) => {}
            () = self.replies(from_service, to_caller, &lose) => {}
        }
    }

    async fn requests(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, lose: &AtomicBool) {
        let mut buffer = vec![0; BUFFER];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let request = buffer.get(..length);
            if request.is_some_and(|request| self.is_wanted(request)) {
                lose.store(true, Ordering::SeqCst);
            }
            let passed = self.pass(&mut to, request, |held| held.requests);
            if passed.await.is_none() {
                return;
            }
        }
    }

    async fn replies(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, lose: &AtomicBool) {
        let mut buffer = vec![0; BUFFER];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            if self.lose_this() || lose.load(Ordering::SeqCst) {
                self.lost.fetch_add(1, Ordering::SeqCst);
                return;
            }
            let passed = self.pass(&mut to, buffer.get(..length), |held| held.replies);
            if passed.await.is_none() {
                return;
            }
        }
    }

    /// Writes once nothing holds it back. `None` when the other side is gone.
    async fn pass(&self, to: &mut OwnedWriteHalf, bytes: Option<&[u8]>, held: fn(&Held) -> bool) -> Option<()> {
        self.held.subscribe().wait_for(|now| !held(now)).await.ok()?;
        to.write_all(bytes?).await.ok()
    }
}
