//! What the host's scripts cost beside easy-rsa, on this machine and in one run. Prints a table.
//!
//! `make bench-host`, or `cargo run -p vpn-tests --example bench-host [-- SIZE...]`: sizes are numbers of
//! certificates, of which a tenth is revoked. Processor time is user and system of all processes of an
//! operation. The programs alone are what no script that calls them can be cheaper than.
//! `-- platform [CLIENTS]` measures issues a second through the whole platform instead.

use std::{
    collections::HashSet,
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    pin::pin,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use futures_util::{StreamExt as _, future::try_join_all};
use tempfile::TempDir;
use vpn_core::domain::{JobId, JobState};
use vpn_tests::{Database, TestPlatform, soon};

/// Operations of ours and of easy-rsa that are measured at each size, and in how many turns.
const OURS: u32 = 40;
const THEIRS: u32 = 8;
const TURNS: u32 = 4;
/// File systems allow no more names of one file than some 65,000.
const NAMES_OF_A_FILE: usize = 10_000;
const EASY_RSA: &str = "/usr/share/easy-rsa/easyrsa";

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, rest @ ..] = arguments.as_slice()
        && mode == "platform"
    {
        return platform(rest.first().map_or(Ok(300), |text| text.parse())?).await;
    }
    let sizes: Vec<usize> = if arguments.is_empty() {
        vec![10, 10_000, 100_000]
    } else {
        arguments.iter().map(|text| text.parse()).collect::<Result<_, _>>().context("a size is a number")?
    };
    ensure!(Path::new(EASY_RSA).exists(), "{EASY_RSA} is missing: apt-get install easy-rsa");
    println!(
        "| certificates | operation | ours, CPU ms | easy-rsa, CPU ms | easy-rsa / ours |\n| --- | --- | --- | --- | --- |"
    );
    for size in sizes {
        compare(size)?;
    }
    Ok(())
}

/// Turn by turn, so that what else the machine does burdens both alike.
fn compare(size: usize) -> Result<()> {
    let (ours, theirs) = (Ours::with(size)?, Theirs::with(size)?);
    let mut sums = [[Duration::ZERO; 3]; 2];
    let mut programs = Duration::ZERO;
    for turn in 0..TURNS {
        let our_range = turn * OURS / TURNS..(turn + 1) * OURS / TURNS;
        programs += cpu(|| our_range.clone().try_for_each(|n| ours.programs(n)))?;
        let their_range = turn * THEIRS / TURNS..(turn + 1) * THEIRS / TURNS;
        sums[0][0] += cpu(|| our_range.clone().try_for_each(|n| ours.fenced("issue", n, "days=30\n")))?;
        sums[1][0] +=
            cpu(|| their_range.clone().try_for_each(|n| theirs.run(&["build-client-full", &name(n), "nopass"])))?;
        sums[0][1] += cpu(|| our_range.clone().try_for_each(|n| ours.fenced("revoke", n, "")))?;
        sums[1][1] += cpu(|| {
            their_range.clone().try_for_each(|n| {
                theirs.run(&["revoke", &name(n)])?;
                theirs.run(&["gen-crl"])
            })
        })?;
        sums[0][2] += cpu(|| our_range.clone().try_for_each(|_| ours.ask("verb=crl\n")))?;
        sums[1][2] += cpu(|| their_range.clone().try_for_each(|_| theirs.run(&["gen-crl"])))?;
    }
    let [our_sums, their_sums] = sums;
    let rows = [
        ("issue", our_sums[0], their_sums[0]),
        ("of it: `openssl req` and `openvpn --genkey` alone", programs, their_sums[0]),
        ("revoke and CRL", our_sums[1], their_sums[1]),
        ("CRL alone", our_sums[2], their_sums[2]),
    ];
    for (operation, our_sum, their_sum) in rows {
        let millis = |sum: Duration, times: u32| sum.as_secs_f64() * 1000.0 / f64::from(times);
        let (our, their) = (millis(our_sum, OURS), millis(their_sum, THEIRS));
        println!("| {size} | {operation} | {our:.1} | {their:.1} | {:.1} |", their / our);
    }
    Ok(())
}

fn name(n: u32) -> String {
    format!("client-{n}")
}

/// Processor time of the children that ended meanwhile, and of theirs.
fn cpu(run: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let before = children()?;
    run()?;
    Ok(children()?.saturating_sub(before))
}

/// Fields 16 and 17 of /proc/self/stat, in hundredths of a second.
fn children() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').context("the process's name")?;
    let ticks: Vec<u64> = fields.split_whitespace().skip(13).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(Duration::from_millis(10 * ticks.iter().sum::<u64>()))
}

/// Processor time of everything on this machine: the first line of /proc/stat, without what was spent
/// waiting, in hundredths of a second.
fn machine() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/stat")?;
    let all = stat.lines().next().and_then(|line| line.strip_prefix("cpu ")).context("the line of all processors")?;
    let ticks: Vec<u64> = all.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let [user, nice, system, _idle, _iowait, irq, softirq, ..] = ticks[..] else { anyhow::bail!("too few fields") };
    Ok(Duration::from_millis(10 * (user + nice + system + irq + softirq)))
}

/// A state directory as a host has it that has done it for long.
struct Ours {
    directory: TempDir,
    scripts: PathBuf,
}

impl Ours {
    fn with(size: usize) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        // OpenVPN's user has to reach the CRL.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o711))?;
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vpn-scripts/libexec");
        let ours = Self { directory, scripts };
        let mut setup = Command::new(ours.scripts.join("setup"));
        setup.arg("--state").arg(ours.state()).args(["--remote", "vpn.example.net", "--management", "none"]);
        ensure!(setup.stdout(Stdio::null()).status()?.success(), "setup failed");
        ours.fill(size)?;
        ours.ask("verb=crl\n")?;
        Ok(ours)
    }

    fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// What counts is how many there are: many names of few files.
    fn fill(&self, size: usize) -> Result<()> {
        let mut log = String::new();
        let state = self.state();
        for n in 0..size {
            let serial = format!("5{n:031X}");
            let file = state.join(format!("tombstone-{}", n / NAMES_OF_A_FILE));
            if n % NAMES_OF_A_FILE == 0 {
                fs::write(&file, "old cli_0123456789abcdef0123456789abcdef 1767225600\n")?;
            }
            let revoked = n % 10 == 0;
            let places: &[&str] = if revoked { &["fence", "revoked"] } else { &["fence", "intent", "issued"] };
            for place in places {
                fs::hard_link(&file, state.join(place).join(&serial))?;
            }
            if revoked {
                log.extend(["30210210", &serial, "170D3236303130313030303030305A\n"]);
            }
        }
        Ok(fs::write(state.join("revoked.log"), log)?)
    }

    fn fenced(&self, verb: &str, n: u32, more: &str) -> Result<()> {
        self.ask(&format!(
            "verb={verb}\nclient=cli_{n:032x}\njob=job_{n:032x}\nfence=5\nattempt={n:032x}\nname={}\nserial=4{n:031X}\n{more}",
            name(n)
        ))
    }

    /// What an issue starts to make the certificate and the tls-crypt-v2 key, and nothing else.
    fn programs(&self, n: u32) -> Result<()> {
        let (subject, serial) = (format!("/CN={}", name(n)), format!("0x3{n:031X}"));
        let certificate = [
            "req -config etc/openssl.cnf -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout - -subj",
            &subject,
            "-set_serial",
            &serial,
            "-CA ca/ca.crt -CAkey ca/ca.key -days 30 -extensions client -out -",
        ];
        self.program("openssl", certificate.join(" ").split(' '))?;
        let metadata = "NDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAK";
        self.program(
            "openvpn",
            ["--tls-crypt-v2", "server/tls-crypt-v2.key", "--genkey", "tls-crypt-v2-client", "", metadata].into_iter(),
        )
    }

    fn program<'a>(&self, name: &str, arguments: impl Iterator<Item = &'a str>) -> Result<()> {
        let mut program = Command::new(name);
        program.current_dir(self.state()).args(arguments).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        for (key, value) in
            [("OPENSSL_CONF", "/dev/null"), ("SSL_CERT_FILE", "/dev/null"), ("SSL_CERT_DIR", "/nonexistent")]
        {
            program.env(key, value);
        }
        let output = program.stdin(Stdio::null()).output()?;
        ensure!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// As sshd would run it.
    fn ask(&self, lines: &str) -> Result<()> {
        let body = format!("vpn-host 1\n{lines}");
        let mut gate = Command::new(self.scripts.join("gate"));
        gate.arg(self.state()).env("SSH_ORIGINAL_COMMAND", "vpn-host-v1");
        let mut gate = gate.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut stdin = gate.stdin.take().context("standard input")?;
        writeln!(stdin, "{body}end={}", body.len())?;
        drop(stdin);
        let output = gate.wait_with_output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        Ok(())
    }
}

/// A PKI of easy-rsa, with keys of the same kind.
struct Theirs {
    directory: TempDir,
}

impl Theirs {
    fn with(size: usize) -> Result<Self> {
        let theirs = Self { directory: tempfile::tempdir()? };
        theirs.run(&["init-pki"])?;
        theirs.run(&["--req-cn=CA", "build-ca", "nopass"])?;
        let line = |n: usize| {
            let state = if n.is_multiple_of(10) { "R\t351231235959Z\t260101000000Z" } else { "V\t351231235959Z\t" };
            format!("{state}\t5{n:031X}\tunknown\t/CN=old-{n}\n")
        };
        fs::write(theirs.directory.path().join("pki/index.txt"), (0..size).map(line).collect::<String>())?;
        Ok(theirs)
    }

    fn run(&self, arguments: &[&str]) -> Result<()> {
        let mut easy_rsa = Command::new(EASY_RSA);
        easy_rsa.current_dir(self.directory.path()).args(["--batch", "--use-algo=ec", "--curve=prime256v1"]);
        easy_rsa.arg(format!("--pki-dir={}", self.directory.path().join("pki").display())).args(arguments);
        let output = easy_rsa.output()?;
        ensure!(output.status.success(), "easy-rsa {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}

/// From the acceptance of the first provision to the end of the last: service, PostgreSQL, queue, two
/// workers, SSH, one host.
async fn platform(clients: usize) -> Result<()> {
    let platform = TestPlatform::on(Database::Postgres).await?;
    let mut ids = Vec::new();
    for _ in 0..clients {
        ids.push(platform.client().await?.id);
    }
    let workers = [platform.worker()?, platform.worker()?];
    platform.active().await?; // connections are made
    let mut events = pin!(platform.platform.job_events(&platform.admin, None, None).await?);
    let (begun, busy) = (Instant::now(), machine()?);
    let jobs = try_join_all(ids.iter().map(|id| platform.provision(*id))).await?;
    let mut left: HashSet<JobId> = jobs.into_iter().map(|queued| queued.job.id).collect();
    while !left.is_empty() {
        let job = soon("the next event", events.next()).await?.context("events")??.job;
        ensure!(job.state != JobState::Failed, "{:?}", job.last_error);
        if job.state.is_final() {
            left.remove(&job.id);
        }
    }
    let (took, busy) = (begun.elapsed().as_secs_f64(), machine()?.saturating_sub(busy).as_secs_f64());
    let count = f64::from(u32::try_from(clients)?);
    println!(
        "{clients} clients provisioned in {took:.1} s: {:.1} a second, {:.1} ms of processor time each, {:.1} processors busy",
        count / took,
        busy * 1000.0 / count,
        busy / took,
    );
    for worker in workers {
        worker.drain().await?;
    }
    Ok(())
}
