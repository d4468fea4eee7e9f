//! Servers that speak AWS's protocols, each started once in a test process and ended with it.
//!
//! # Layout
//! - [`python`]: which Python there is, and a private environment with pinned packages
//! - [`process`]: one server, from a free port to its end

mod process;
mod python;
mod smoke;

use std::path::PathBuf;
use std::sync::OnceLock;

use aws_config::{Region, SdkConfig};
use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};
use iyagi::aws::clients::Clients;
use iyagi::config::AwsConfig;

use process::Process;
use python::Requirements;

/// Not the one that emulators take when they are told none, so that an adapter that forgets it is found out.
const REGION: &str = "ap-northeast-2";
const ACCESS_KEY: &str = "test";
const SECRET_KEY: &str = "test";

/// Runs S3, SQS, SNS topics and `DynamoDB`; wants Python 3.11.
const MINISTACK: Program = Program {
    name: "ministack",
    ready_path: "/_ministack/health",
    requirements: Requirements {
        name: "ministack",
        text: include_str!("requirements-ministack.txt"),
        python_minor_min: 11,
    },
};

/// Runs everything but what needs Docker, and lets what was pushed be read back.
const MOTO: Program = Program {
    name: "moto",
    ready_path: "/moto-api/data.json",
    requirements: Requirements {
        name: "moto",
        text: include_str!("requirements-moto.txt"),
        python_minor_min: 11,
    },
};

/// The most complete one. On Python 3.12 it starts, and then every call fails.
const LOCALEMU: Program = Program {
    name: "localemu",
    ready_path: "/_localemu/health",
    requirements: Requirements {
        name: "localemu",
        text: include_str!("requirements-localemu.txt"),
        python_minor_min: 13,
    },
};

/// Speaks as OpenSearch does, but for scripts and security.
const OSMEM: Program = Program {
    name: "osmem",
    ready_path: "/",
    requirements: Requirements {
        name: "osmem",
        text: include_str!("requirements-osmem.txt"),
        python_minor_min: 11,
    },
};

/// Injects faults before any of them.
const MICROBURST: Program = Program {
    name: "microburst",
    ready_path: "/_microburst/stats",
    requirements: MOTO.requirements,
};

/// What to start, and how to know that it is there.
struct Program {
    /// As the launcher knows it.
    name: &'static str,
    /// Answers 200 as soon as the server serves.
    ready_path: &'static str,
    requirements: Requirements,
}

/// A running server.
pub(crate) struct Server {
    url: String,
    /// Ends with it; none if it is only an address, as that of a proxy.
    _process: Option<Process>,
}

impl Server {
    /// A server that somebody else runs.
    pub(crate) fn at(url: String) -> Self {
        Self {
            url,
            _process: None,
        }
    }

    fn start(program: &Program, arguments: &[&str]) -> Result<Self, String> {
        let process = Process::start(program, arguments)?;
        Ok(Self {
            url: process.url().to_owned(),
            _process: Some(process),
        })
    }

    /// Its address, such as `http://127.0.0.1:40123`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The region that its clients are in.
    #[expect(
        clippy::unused_self,
        reason = "a server has a region, though all have the same"
    )]
    pub(crate) fn region(&self) -> &str {
        REGION
    }

    /// Clients of this server with test credentials. Their connections belong to the runtime that first uses them, so
    /// every test makes its own.
    pub(crate) fn clients(&self) -> Clients {
        self.clients_with(&self.aws_config())
    }

    /// The same, with limits of one's own.
    pub(crate) fn clients_with(&self, config: &AwsConfig) -> Clients {
        Clients::of(&sdk_config(self.url()), config).expect("a region is set")
    }

    /// The daemon's configuration for this server.
    pub(crate) fn aws_config(&self) -> AwsConfig {
        AwsConfig {
            enabled: true,
            region: Some(self.region().to_owned()),
            endpoint_url: Some(self.url().to_owned()),
            ..AwsConfig::default()
        }
    }

    /// Environment of a daemon that is to use this server, and nothing of the machine's own AWS profile.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let variables = [
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
            ("AWS_REGION", self.region()),
            // Python's SDK knows only this one.
            ("AWS_DEFAULT_REGION", self.region()),
            ("AWS_ENDPOINT_URL", self.url()),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ];
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        variables.map(owned).into()
    }
}

/// Ministack: fast, and the only one that knows idempotency tokens of transactions.
pub(crate) fn ministack() -> &'static Server {
    static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
    started(&SERVER, &MINISTACK)
}

/// Moto: pushes to phones can be read back at `/moto-api/data.json`.
pub(crate) fn moto() -> &'static Server {
    static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
    started(&SERVER, &MOTO)
}

/// An OpenSearch in memory.
pub(crate) fn osmem() -> &'static Server {
    static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
    started(&SERVER, &OSMEM)
}

/// `LocalEmu`: none where there is no Python for it, unless `REQUIRE_SERVERS=all` makes that a failure.
pub(crate) fn localemu() -> Option<&'static Server> {
    static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
    let required = std::env::var("REQUIRE_SERVERS").is_ok_and(|servers| servers == "all");
    if !required && !LOCALEMU.requirements.python_exists() {
        eprintln!("LocalEmu is left out: no Python 3.13 or newer is found");
        return None;
    }
    Some(started(&SERVER, &LOCALEMU))
}

/// The Python of an environment with AWS's SDK for it.
pub(crate) fn python_with_boto3() -> PathBuf {
    let python = MOTO.requirements.python();
    python.unwrap_or_else(|problem| panic!("{problem}"))
}

/// A microburst before a server.
pub(crate) fn before(upstream: &Server) -> Result<Server, String> {
    Server::start(&MICROBURST, &[upstream.url()])
}

/// A name that nothing else has: `what-<random>`.
pub(crate) fn unique(what: &str) -> String {
    let random = uuid::Uuid::now_v7().simple().to_string();
    // Its tail is random; its head is the time.
    format!("{what}-{}", &random[20..])
}

fn started(
    server: &'static OnceLock<Result<Server, String>>,
    program: &Program,
) -> &'static Server {
    let server = server.get_or_init(|| Server::start(program, &[]));
    server
        .as_ref()
        .unwrap_or_else(|problem| panic!("{problem}"))
}

fn sdk_config(url: &str) -> SdkConfig {
    let credentials = Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "tests");
    // Loopback needs no TLS, and reading the machine's certificates would cost every test.
    let http = aws_smithy_http_client::Builder::new().build_http();
    SdkConfig::builder()
        .region(Region::from_static(REGION))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http)
        .endpoint_url(url)
        .build()
}
