//! Requests to another server, repeated while it is busy.

use std::io::Read;
use std::time::Duration;

use base64::Engine;
use lw_core::{Error, Result};
use serde_json::Value;
use url::Url;

use crate::failures::{BAD_ARGUMENT, IMPORT_SOURCE_ANSWER, IMPORT_SOURCE_REFUSED, IMPORT_SOURCE_UNREACHABLE, NOT_MLFLOW};

const DEADLINE: Duration = Duration::from_secs(120);
const MAX_ANSWER_BYTES: u64 = 256 << 20;
/// After each failure that passes by itself: 31 seconds in all.
const PAUSES: [Duration; 5] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8), Duration::from_secs(16)];

/// An MLflow server at an address.
#[derive(Debug)]
pub struct Connection {
    /// Without user and password, as it may be shown.
    base: Url,
    agent: ureq::Agent,
    authorization: Option<String>,
    pauses: &'static [Duration],
}

/// What the environment says about how to reach MLflow's server, by the variables of its own clients.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    pub token: Option<String>,
    pub user: Option<String>,
    pub password: Option<String>,
}

impl Credentials {
    pub fn of_environment() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            token: variable("MLFLOW_TRACKING_TOKEN"),
            user: variable("MLFLOW_TRACKING_USERNAME"),
            password: variable("MLFLOW_TRACKING_PASSWORD"),
        }
    }
}

/// Whether a failure passes by itself.
enum Trouble {
    Passing(Error),
    Lasting(Error),
}

impl Connection {
    /// A server that is asked once and not again, until [`Self::patient`]. `address` may carry a user and a password.
    pub fn new(address: &str, credentials: Credentials) -> Result<Self> {
        let refused = || {
            BAD_ARGUMENT
                .error(format!("`{}` is not the address of a server", address.chars().take(200).collect::<String>()))
                .hint("write it like http://mlflow.example.org:5000, or sqlite:///mlflow.db for a database")
        };
        let mut base = Url::parse(address).map_err(|error| refused().cause(error))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(refused());
        }
        let basic = |user: &str, password: &str| {
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
        };
        let authorization = match (base.username(), credentials.user, credentials.token) {
            ("", Some(user), _) => Some(basic(&user, &credentials.password.unwrap_or_default())),
            ("", None, token) => token.map(|token| format!("Bearer {token}")),
            (user, ..) => Some(basic(&decoded(user), &decoded(base.password().unwrap_or_default()))),
        };
        // An address that carries neither stays as it is.
        let _ = base.set_username("");
        let _ = base.set_password(None);
        base.set_query(None);
        base.set_fragment(None);
        let config = ureq::Agent::config_builder()
            .timeout_connect(Some(Duration::from_secs(20)))
            .timeout_recv_response(Some(DEADLINE))
            // A large file may take its time, as long as something comes.
            .timeout_per_read(Some(DEADLINE))
            .http_status_as_error(false)
            .build();
        Ok(Self { base, agent: config.into(), authorization, pauses: &[] })
    }

    /// The same server, now that it is known to be one: what passes by itself is waited for.
    pub fn patient(self) -> Self {
        Self { pauses: &PAUSES, ..self }
    }

    #[cfg(test)]
    pub fn impatient(address: &str) -> Self {
        const PAUSES: [Duration; 2] = [Duration::from_millis(1); 2];
        Self { pauses: &PAUSES, ..Self::new(address, Credentials::default()).expect("a test names a good address") }
    }

    /// The address without secrets.
    pub fn shown(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// A JSON answer; `None` if the server has no such route.
    pub fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Option<Value>> {
        self.json("GET", path, query, None)
    }

    pub fn post(&self, path: &str, body: &Value) -> Result<Option<Value>> {
        self.json("POST", path, &[], Some(body))
    }

    /// An answer that is a short text, as the server's version.
    pub fn text(&self, path: &str) -> Result<Option<String>> {
        self.patiently(|| {
            let mut response = self.send("GET", path, &[], None)?;
            if response.status().as_u16() == 404 {
                return Ok(None);
            }
            let text = response.body_mut().with_config().limit(1 << 16).read_to_string();
            text.map(Some).map_err(|error| Trouble::Passing(self.unreachable().cause(error)))
        })
    }

    /// The bytes of a file, as they come.
    pub fn file(&self, path: &str, query: &[(&str, &str)]) -> Result<Box<dyn Read + Send>> {
        self.patiently(|| {
            let mut response = self.send("GET", path, query, None)?;
            let status = response.status().as_u16();
            if status != 200 {
                let body = response.body_mut().with_config().limit(1 << 16).read_to_vec().unwrap_or_default();
                return Err(self.refusal(status, &body));
            }
            let reader: Box<dyn Read + Send> = Box::new(response.into_body().into_reader());
            Ok(reader)
        })
    }

    fn json(&self, method: &str, path: &str, query: &[(&str, &str)], body: Option<&Value>) -> Result<Option<Value>> {
        self.patiently(|| {
            let mut response = self.send(method, path, query, body)?;
            let status = response.status().as_u16();
            let bytes = response.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_to_vec();
            let bytes = bytes.map_err(|error| Trouble::Passing(self.unreachable().cause(error)))?;
            let answer = serde_json::from_slice::<Value>(&bytes);
            let code = answer.as_ref().ok().and_then(|answer| answer["error_code"].as_str());
            match (status, &answer) {
                (200..300, Ok(_)) => Ok(answer.ok()),
                (200..300, Err(_)) => Err(Trouble::Lasting(self.is_no_mlflow())),
                (404 | 405, Err(_)) => Ok(None),
                (404, Ok(_)) if code == Some("ENDPOINT_NOT_FOUND") => Ok(None),
                _ => Err(self.refusal(status, &bytes)),
            }
        })
    }

    fn patiently<T>(&self, mut attempt: impl FnMut() -> Result<T, Trouble>) -> Result<T> {
        let mut pauses = self.pauses.iter();
        loop {
            match attempt() {
                Ok(answer) => return Ok(answer),
                Err(Trouble::Lasting(error)) => return Err(error),
                Err(Trouble::Passing(error)) => match pauses.next() {
                    Some(pause) => std::thread::sleep(*pause),
                    None => return Err(error),
                },
            }
        }
    }

    fn send(
        &self,
        method: &str,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<ureq::http::Response<ureq::Body>, Trouble> {
        let mut url = format!("{}/{path}", self.shown());
        if !query.is_empty() {
            let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
            url = format!("{url}?{query}");
        }
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let bytes = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let request = request.body(bytes).map_err(|error| Trouble::Lasting(self.unreachable().cause(error)))?;
        self.agent.run(request).map_err(|error| Trouble::Passing(self.unreachable().cause(error)))
    }

    fn refusal(&self, status: u16, body: &[u8]) -> Trouble {
        let answer: Value = serde_json::from_slice(body).unwrap_or_default();
        let message = answer["message"].as_str().or_else(|| answer["detail"].as_str()).unwrap_or_default();
        let said =
            if message.is_empty() { String::new() } else { format!(": {}", message.chars().take(500).collect::<String>()) };
        match status {
            401 | 403 => Trouble::Lasting(
                IMPORT_SOURCE_REFUSED
                    .error(format!("{} refuses access with {status}{said}", self.shown()))
                    .hint("set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"),
            ),
            429 | 500 | 502 | 503 | 504 => Trouble::Passing(self.answered(status, &said)),
            _ => Trouble::Lasting(self.answered(status, &said)),
        }
    }

    fn answered(&self, status: u16, said: &str) -> Error {
        let error = IMPORT_SOURCE_ANSWER.error(format!("{} answers {status}{said}", self.shown()));
        error.hint("the server's log says more; the same command goes on where this one stopped")
    }

    fn unreachable(&self) -> Error {
        IMPORT_SOURCE_UNREACHABLE
            .error(format!("no answer from {}", self.shown()))
            .hint("check the address and that the server runs; the same command goes on where this one stopped")
    }

    pub fn is_no_mlflow(&self) -> Error {
        NOT_MLFLOW
            .error(format!("what answers at {} is not an MLflow server", self.shown()))
            .hint("give the address that MLFLOW_TRACKING_URI has for its clients, with the path if there is one")
    }
}

fn decoded(text: &str) -> String {
    let query = format!("x={}", text.replace('+', "%2B"));
    url::form_urlencoded::parse(query.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_into_the_header_and_not_into_what_is_shown() {
        let none = Credentials::default;
        let with_user = Connection::new("http://ana:p%40ss@mlflow:5000/base/?x=1#y", none()).unwrap();
        assert_eq!(with_user.shown(), "http://mlflow:5000/base");
        assert_eq!(with_user.authorization.as_deref(), Some("Basic YW5hOnBAc3M="));
        let with_token = Connection::new("https://mlflow", Credentials { token: Some("t".to_owned()), ..none() }).unwrap();
        assert_eq!(with_token.authorization.as_deref(), Some("Bearer t"));
        for bad in ["mlflow:5000", "ftp://x", "http://", "nonsense"] {
            assert!(Connection::new(bad, none()).unwrap_err().is(BAD_ARGUMENT), "{bad}");
        }
    }

    /// Answers each request with the next of these, and then hangs up.
    fn serve(answers: &'static [&'static str]) -> String {
        use std::io::Write;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut head = [0; 4096];
                let _ = stream.read(&mut head);
                let _ = write!(stream, "{answer}");
            }
        });
        address
    }

    #[test]
    fn what_passes_is_tried_again() {
        const BUSY: &str = "HTTP/1.1 503 Busy\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        const GOOD: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 7\r\n\r\n{\"a\":1}";
        const WRONG: &str = "HTTP/1.1 400 Bad\r\nconnection: close\r\ncontent-length: 19\r\n\r\n{\"message\":\"wrong\"}";
        const PAGE: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 6\r\n\r\n<html>";
        const MISSING: &str = "HTTP/1.1 404 No\r\nconnection: close\r\ncontent-length: 6\r\n\r\n<html>";
        let ask = |answers| Connection::impatient(&serve(answers)).get("api", &[("q", "a b")]);
        assert_eq!(ask(&[BUSY, BUSY, GOOD]).unwrap(), Some(serde_json::json!({"a": 1})));
        assert!(ask(&[BUSY, BUSY, BUSY]).unwrap_err().is(IMPORT_SOURCE_ANSWER));
        assert!(ask(&[WRONG]).unwrap_err().message().ends_with("answers 400: wrong"));
        assert!(ask(&[PAGE]).unwrap_err().is(NOT_MLFLOW));
        assert_eq!(ask(&[MISSING]).unwrap(), None);
        assert!(ask(&[]).unwrap_err().is(IMPORT_SOURCE_UNREACHABLE));
    }
}
