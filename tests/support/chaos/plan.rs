//! What will be asked and what will fail: a pure function of the seed and the length of the run.

/// What a caller does. Numbers choose among its own clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Records a new client.
    Create,
    /// Asks for a provision.
    Provision(usize),
    /// Asks for a revocation.
    Revoke(usize),
    /// Asks for the last job of a client once more.
    Retry(usize),
    /// Looks at a client.
    Look(usize),
    /// Fetches the profile.
    Deliver(usize),
    /// Repeats the last request, with its idempotency key.
    Again,
}

/// What fails, and for how many milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strike {
    /// SIGKILL for a worker; another one takes its place.
    KillWorker(usize),
    /// SIGSTOP for a worker, then SIGCONT.
    FreezeWorker(usize, u64),
    /// SIGTERM for a worker; another one takes its place.
    RestartWorker(usize),
    /// SIGKILL for a server.
    KillServer(usize),
    /// SIGSTOP for a server, then SIGCONT.
    FreezeServer(usize, u64),
    /// SIGTERM for a server.
    RestartServer(usize),
    /// Redis forgets everything.
    Flush,
    /// Redis is killed, and comes back.
    KillRedis(u64),
    /// Redis stands still.
    FreezeRedis(u64),
    /// All connections to Redis break.
    CutRedis,
    /// Nothing reaches Redis, and no connection breaks.
    PartRedis(u64),
    /// Redis does what it is told, and its answers come late.
    DelayRedis(u64),
    /// One answer of Redis is lost.
    LoseRedis,
    /// All SSH connections break.
    CutHost,
    /// Nothing reaches the host.
    PartHost(u64),
    /// The host does what it is told, and its answers come late.
    DelayHost(u64),
    /// One answer of the host is lost.
    LoseHost,
    /// sshd is away.
    StopSshd(u64),
    /// PostgreSQL is restarted.
    RestartDatabase,
}

/// A pause in milliseconds, and then this.
pub type Timed<T> = (u64, T);

/// The whole run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What each caller does, one after the other.
    pub callers: Vec<Vec<Timed<Act>>>,
    /// What fails, in lanes that go on at the same time: programs, Redis, the host, the database.
    pub lanes: Vec<Vec<Timed<Strike>>>,
}

/// How many there are of each.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Callers at once.
    pub callers: usize,
    /// Workers.
    pub workers: usize,
    /// Servers.
    pub servers: usize,
    /// Whether the database can be restarted.
    pub database: bool,
}

impl Plan {
    /// For so many milliseconds.
    #[must_use]
    pub fn of(seed: u64, length: u64, size: Size) -> Self {
        let stream = |number: usize| Random(seed ^ (number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let callers = (0..size.callers).map(|caller| stream(caller).fill(length, 700, Random::act)).collect();
        let lane = |number: usize, pause: u64, strike: fn(&mut Random, Size) -> Strike| {
            stream(1000 + number).fill(length, pause, |random| strike(random, size))
        };
        let mut lanes = vec![lane(0, 1400, programs), lane(1, 3000, redis), lane(2, 3000, host)];
        if size.database {
            lanes.push(lane(3, 12_000, |_, _| Strike::RestartDatabase));
        }
        Self { callers, lanes }
    }
}

fn programs(random: &mut Random, size: Size) -> Strike {
    let (worker, server) = (random.below(size.workers as u64), random.below(size.servers as u64));
    let (worker, server) = (index(worker), index(server));
    match random.below(100) {
        0..30 => Strike::KillWorker(worker),
        30..55 => Strike::FreezeWorker(worker, random.between(200, 6000)),
        55..65 => Strike::RestartWorker(worker),
        65..80 => Strike::KillServer(server),
        80..90 => Strike::FreezeServer(server, random.between(200, 2500)),
        _ => Strike::RestartServer(server),
    }
}

fn redis(random: &mut Random, _: Size) -> Strike {
    match random.below(100) {
        0..20 => Strike::Flush,
        20..40 => Strike::KillRedis(random.between(50, 1500)),
        40..55 => Strike::FreezeRedis(random.between(200, 2500)),
        55..65 => Strike::CutRedis,
        65..75 => Strike::PartRedis(random.between(200, 2500)),
        75..85 => Strike::DelayRedis(random.between(100, 2000)),
        _ => Strike::LoseRedis,
    }
}

fn host(random: &mut Random, _: Size) -> Strike {
    match random.below(100) {
        0..25 => Strike::CutHost,
        25..45 => Strike::PartHost(random.between(200, 3000)),
        45..65 => Strike::DelayHost(random.between(200, 3000)),
        65..85 => Strike::LoseHost,
        _ => Strike::StopSshd(random.between(100, 1500)),
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

/// `SplitMix64` (Steele, Lea, Flood 2014): small, and the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from)
    }

    /// Things until the time is filled, with pauses around the given one.
    fn fill<T>(mut self, length: u64, pause: u64, mut thing: impl FnMut(&mut Self) -> T) -> Vec<Timed<T>> {
        let (mut filled, mut things) = (0, Vec::new());
        while filled < length {
            let pause = self.between(pause / 10, pause * 19 / 10);
            filled += pause;
            things.push((pause, thing(&mut self)));
        }
        things
    }

    fn act(&mut self) -> Act {
        let (kind, which) = (self.below(100), index(self.below(1 << 20)));
        match kind {
            0..30 => Act::Create,
            30..58 => Act::Provision(which),
            58..72 => Act::Revoke(which),
            72..78 => Act::Retry(which),
            78..88 => Act::Look(which),
            88..94 => Act::Deliver(which),
            _ => Act::Again,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { callers: 3, workers: 2, servers: 2, database: true };

    #[test]
    fn the_same_seed_gives_the_same_plan_and_another_one_another() {
        assert_eq!(Plan::of(7, 10_000, SIZE), Plan::of(7, 10_000, SIZE));
        assert_ne!(Plan::of(7, 10_000, SIZE), Plan::of(8, 10_000, SIZE));
    }

    #[test]
    fn a_longer_run_begins_as_the_shorter_one() {
        let (short, long) = (Plan::of(7, 5_000, SIZE), Plan::of(7, 10_000, SIZE));
        for (short, long) in short.callers.iter().zip(&long.callers) {
            assert!(long.starts_with(short) && long.len() > short.len());
        }
    }
}
