//! Hosts fail: full disks, disks that cannot be written, programs that die, clocks that jump, power cuts.
//! Each time the job says what is wrong while it is, and converges once it is not.

use anyhow::{Result, ensure};
use vpn_core::{
    domain::{Client, ClientStatus, Job, JobState},
    sandbox::Sandbox,
    service::RetryJob,
};
use vpn_tests::{
    Database, TestPlatform,
    cage::Cage,
    hosts,
    platform::{MAX_ATTEMPTS, TestWorker},
};

/// A host in a cage, and the platform that works on it.
struct Scene<'s> {
    cage: Cage<'s>,
    test: TestPlatform,
    worker: TestWorker,
}

impl<'s> Scene<'s> {
    async fn set(host: &'s Sandbox, disk: Option<&'static str>) -> Result<Self> {
        let vpn = host.host()?;
        let cage = Cage::around(host, disk).await?;
        let test = TestPlatform::with_host(Database::Sqlite, vpn, vpn.port, &vpn.host_key).await?;
        let worker = test.worker()?;
        Ok(Self { cage, test, worker })
    }

    /// Both kinds of jobs fail while something is wrong, for a reason that a retry may outlive.
    async fn both_fail(&self, active: &Client, code: &str, said: &str) -> Result<[Job; 2]> {
        let pending = self.test.client().await?;
        let jobs = [self.test.provision(pending.id).await?.job, self.test.revoke(active.id).await?.job];
        let mut failed = Vec::new();
        for job in jobs {
            let job = self.test.finished(job.id).await?;
            assert_eq!((job.state, job.attempts), (JobState::Failed, MAX_ATTEMPTS), "{job:?}");
            let failure = job.failure.clone().expect("a failed job says why");
            ensure!(failure.code == code && failure.message.contains(said), "{failure:?}");
            failed.push(job);
        }
        failed.try_into().map_err(|_| anyhow::anyhow!("two jobs"))
    }

    /// Once nothing is wrong any more, a person asks again, and everything is as it was asked.
    async fn both_converge(self, failed: [Job; 2]) -> Result<()> {
        for job in &failed {
            self.retried(job).await?;
        }
        let [provision, revoke] = failed.map(|job| job.client_id);
        let (provisioned, revoked) = (self.test.reload(provision).await?, self.test.reload(revoke).await?);
        assert_eq!((provisioned.status(), revoked.status()), (ClientStatus::Active, ClientStatus::Revoked));
        assert!(self.cage.has_revoked(revoked.serial.as_str()).await?);
        assert!(!self.cage.has_revoked(provisioned.serial.as_str()).await?);
        self.end().await
    }

    async fn retried(&self, failed: &Job) -> Result<()> {
        let retry = RetryJob { job_id: failed.id.to_string(), idempotency_key: None };
        let again = self.test.platform.retry_job(&self.test.admin, retry).await?.job;
        self.test.succeeded(again.id).await?;
        Ok(())
    }

    async fn end(self) -> Result<()> {
        assert_eq!(self.cage.complaint().await?, None, "the host has nothing to say against itself");
        self.worker.drain().await?;
        self.test.check().await
    }
}

#[tokio::test]
async fn a_full_disk_fails_jobs_and_keeps_the_host_whole() -> Result<()> {
    let host = hosts::private().await?;
    let scene = Scene::set(&host, Some("900k")).await?;
    let active = scene.test.active().await?;
    scene.cage.run("cat /dev/zero >filler 2>/dev/null || :").await?;
    let failed = scene.both_fail(&active, "HOST_TROUBLE", "check free space").await?;
    scene.cage.run("rm filler").await?;
    scene.both_converge(failed).await
}

#[tokio::test]
async fn a_pki_that_cannot_be_written_fails_jobs_and_nothing_is_promised() -> Result<()> {
    let host = hosts::private().await?;
    let scene = Scene::set(&host, Some("4m")).await?;
    let active = scene.test.active().await?;
    scene.cage.run("mount -o remount,ro .").await?;
    let failed = scene.both_fail(&active, "HOST_TROUBLE", "a write to the state directory failed").await?;
    scene.cage.run("mount -o remount,rw .").await?;
    scene.both_converge(failed).await
}

#[tokio::test]
async fn an_openssl_that_is_killed_fails_jobs_and_leaves_no_half_certificate() -> Result<()> {
    let host = hosts::private().await?;
    let scene = Scene::set(&host, None).await?;
    let active = scene.test.active().await?;
    scene.cage.replace("openssl", "kill -9 $$").await?;
    let failed = scene.both_fail(&active, "HOST_TROUBLE", "openssl failed").await?;
    scene.cage.put_back("openssl").await?;
    scene.both_converge(failed).await
}

/// The CRL's number and time must rise all the same, or OpenVPN would not see it.
#[tokio::test]
async fn a_clock_that_jumps_does_not_keep_a_revocation_from_being_seen() -> Result<()> {
    let host = hosts::private().await?;
    let scene = Scene::set(&host, None).await?;
    let mut number = 0;
    for days in [0, -400, 400, -1, 0] {
        let client = scene.test.active().await?;
        let now = format!(
            r#"case " $* " in *' -d '*) exec $real "$@" ;; esac
exec $real -d "@$(($($real +%s) + {days} * 86400))" "$@""#
        );
        scene.cage.replace("date", &now).await?;
        let job = scene.test.revoke(client.id).await?.job;
        scene.test.succeeded(job.id).await?;
        scene.cage.put_back("date").await?;
        assert!(scene.cage.has_revoked(client.serial.as_str()).await?, "{days} days");
        let seen: u64 = scene.cage.run("stat -c %Y pub/crl.pem").await?.trim().parse()?;
        ensure!(seen > number, "the clock jumped {days} days, and the CRL's time fell from {number} to {seen}");
        number = seen;
    }
    scene.end().await
}

#[tokio::test]
async fn a_host_that_is_rebooted_under_a_provision_has_one_certificate_afterwards() -> Result<()> {
    let host = hosts::private().await?;
    let mut scene = Scene::set(&host, None).await?;
    let client = scene.test.client().await?;
    let job = reboot_under(&mut scene, async |test| Ok(test.provision(client.id).await?.job)).await?;
    converges(&scene, &job).await?;
    let issued = scene.cage.run("ls issued names intent fence").await?;
    assert_eq!(issued.matches(client.serial.as_str()).count(), 3, "{issued}");
    assert_eq!(issued.matches(client.name.as_str()).count(), 1, "{issued}");
    scene.end().await
}

#[tokio::test]
async fn a_host_that_is_rebooted_under_a_revocation_publishes_it_afterwards() -> Result<()> {
    let host = hosts::private().await?;
    let mut scene = Scene::set(&host, None).await?;
    let client = scene.test.active().await?;
    let job = reboot_under(&mut scene, async |test| Ok(test.revoke(client.id).await?.job)).await?;
    converges(&scene, &job).await?;
    assert!(scene.cage.has_revoked(client.serial.as_str()).await?);
    scene.end().await
}

/// Asks for a job, and cuts the host's power while openssl is at work for it.
async fn reboot_under(scene: &mut Scene<'_>, ask: impl AsyncFnOnce(&TestPlatform) -> Result<Job>) -> Result<Job> {
    let begun = scene.cage.note("begun");
    scene.cage.replace("openssl", &format!("echo begun >'{}'\nexec sleep 1000", begun.display())).await?;
    let job = ask(&scene.test).await?;
    vpn_tests::eventually("openssl is at work", async || Ok(begun.exists())).await?;
    scene.cage.reboot().await?;
    Ok(job)
}

/// It may have run out of attempts while the host was down: a person asks again, then.
async fn converges(scene: &Scene<'_>, job: &Job) -> Result<()> {
    let ended = scene.test.finished(job.id).await?;
    if ended.state == JobState::Failed { scene.retried(&ended).await } else { Ok(()) }
}
