//! The one way the commands reach the platform: the HTTP API, of a running server or of a router in this process.

use std::io::Read;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Request, StatusCode, header};
use futures::StreamExt;
use http_body_util::BodyExt;
use lw_core::{Error, Failure, Kind, Result};
use serde_json::Value;
use tower::ServiceExt;

use crate::failures::{SERVER_ANSWER, SERVER_UNREACHABLE};

const DEADLINE: Duration = Duration::from_secs(300);
/// How long the first rows of a query may take; the server gives up before.
const STREAM_DEADLINE: Duration = Duration::from_secs(3700);
const MAX_ANSWER_BYTES: u64 = 256 << 20;
const PIECE_BYTES: usize = 256 << 10;

/// A client of the HTTP API.
pub struct Client {
    transport: Transport,
    token: Option<String>,
    /// Who acts, if the token leaves that open.
    claim: Option<String>,
}

enum Transport {
    Remote { base: String, agent: ureq::Agent },
    InProcess(Router),
}

impl Client {
    pub fn remote(base: &str, token: Option<String>, claim: Option<String>) -> Self {
        let config = ureq::Agent::config_builder().timeout_global(Some(DEADLINE)).http_status_as_error(false).build();
        let transport = Transport::Remote { base: base.trim_end_matches('/').to_owned(), agent: config.into() };
        Self { transport, token, claim }
    }

    pub fn in_process(router: Router, token: Option<String>, claim: Option<String>) -> Self {
        Self { transport: Transport::InProcess(router), token, claim }
    }

    /// Whether the platform is this process, and no server.
    pub fn is_in_process(&self) -> bool {
        matches!(self.transport, Transport::InProcess(_))
    }

    pub async fn get(&self, path: &str) -> Result<Value> {
        self.call("GET", path, Vec::new()).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.call("POST", path, body.to_string().into_bytes()).await
    }

    /// An answer that is no JSON document.
    pub async fn get_text(&self, path: &str) -> Result<String> {
        let (status, bytes) = self.send("GET", path, Vec::new()).await?;
        if (200..300).contains(&status) {
            return String::from_utf8(bytes).map_err(|error| unreadable().cause(error));
        }
        Err(problem(status, &parse(&bytes)?))
    }

    /// Sends a file as it is read; the answer is empty.
    pub async fn put(&self, path: &str, content: Box<dyn Read + Send>) -> Result<()> {
        let (status, bytes) = match &self.transport {
            Transport::InProcess(router) => {
                let body = Body::from_stream(pumped(content));
                self.call_router(router.clone(), "PUT", path, body).await?
            }
            Transport::Remote { base, agent } => {
                let (agent, request) = (agent.clone(), self.request(base, "PUT", path, content)?);
                let send = move || {
                    let request = request.map(ureq::SendBody::from_owned_reader);
                    // A large file may take its time, as long as something moves.
                    let request = agent.configure_request(request).timeout_global(None).timeout_per_write(Some(DEADLINE));
                    agent.run(request.timeout_recv_response(Some(DEADLINE)).build())
                };
                exchange(base, send).await?
            }
        };
        if (200..300).contains(&status) { Ok(()) } else { Err(problem(status, &parse(&bytes)?)) }
    }

    /// Sends a document and gives the answer as it comes, in the form that `accept` names. Read it where waiting holds up nothing.
    pub async fn post_for_stream(&self, path: &str, body: &Value, accept: &str) -> Result<Box<dyn Read + Send>> {
        let body = body.to_string().into_bytes();
        let (status, mut answer): (u16, Box<dyn Read + Send>) = match &self.transport {
            Transport::InProcess(router) => {
                let mut request = self.request("", "POST", path, Body::from(body))?;
                request.headers_mut().insert(header::HOST, HeaderValue::from_static("localhost"));
                put_accept(&mut request, accept)?;
                let response = router.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
                (response.status().as_u16(), Box::new(BodyReader::over(response.into_body())))
            }
            Transport::Remote { base, agent } => {
                let (agent, mut request) = (agent.clone(), self.request(base, "POST", path, body)?);
                put_accept(&mut request, accept)?;
                // A large answer may take its time, as long as something moves.
                let run = move || {
                    let request =
                        agent.configure_request(request).timeout_global(None).timeout_recv_response(Some(STREAM_DEADLINE));
                    agent.run(request.build())
                };
                let response = waited(base, run).await?;
                (response.status().as_u16(), Box::new(response.into_body().into_reader()))
            }
        };
        if (200..300).contains(&status) {
            return Ok(answer);
        }
        let read = move || {
            let mut bytes = Vec::new();
            answer.by_ref().take(MAX_ANSWER_BYTES).read_to_end(&mut bytes).map(|_| bytes)
        };
        let bytes =
            tokio::task::spawn_blocking(read).await.map_err(|error| Error::bug("reading a refusal panicked").cause(error))?;
        Err(problem(status, &parse(&bytes.map_err(|error| unreadable().cause(error))?)?))
    }

    async fn call(&self, method: &str, path: &str, body: Vec<u8>) -> Result<Value> {
        let (status, bytes) = self.send(method, path, body).await?;
        let value = if bytes.is_empty() { Value::Null } else { parse(&bytes)? };
        if (200..300).contains(&status) { Ok(value) } else { Err(problem(status, &value)) }
    }

    async fn send(&self, method: &str, path: &str, body: Vec<u8>) -> Result<(u16, Vec<u8>)> {
        match &self.transport {
            Transport::InProcess(router) => self.call_router(router.clone(), method, path, Body::from(body)).await,
            Transport::Remote { base, agent } => {
                let (agent, request) = (agent.clone(), self.request(base, method, path, body)?);
                exchange(base, move || agent.run(request)).await
            }
        }
    }

    async fn call_router(&self, router: Router, method: &str, path: &str, body: Body) -> Result<(u16, Vec<u8>)> {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, "localhost");
        for (name, value) in self.headers() {
            request = request.header(name, value);
        }
        let request = request.body(body).map_err(|error| Error::bug("a request of the CLI is malformed").cause(error))?;
        let response = router.oneshot(request).await.unwrap_or_else(|never| match never {});
        let status: StatusCode = response.status();
        let bytes = response.into_body().collect().await.map_err(|error| unreadable().cause(error))?.to_bytes();
        Ok((status.as_u16(), bytes.to_vec()))
    }

    fn request<B>(&self, base: &str, method: &str, path: &str, body: B) -> Result<Request<B>> {
        let mut request = Request::builder().method(method).uri(format!("{base}{path}"));
        for (name, value) in self.headers() {
            request = request.header(name, value);
        }
        request.body(body).map_err(|error| {
            SERVER_UNREACHABLE
                .error(format!("`{base}` is not a server's address"))
                .hint("write it like http://127.0.0.1:8760")
                .cause(error)
        })
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![("content-type", "application/json".to_owned())];
        if let Some(claim) = &self.claim {
            headers.push(("x-loopwright-actor", claim.clone()));
        }
        if let Some(token) = &self.token {
            headers.push(("authorization", format!("Bearer {token}")));
        }
        headers
    }
}

type Sent = std::result::Result<axum::http::Response<ureq::Body>, ureq::Error>;

/// Sends a request to a server, and waits for all of its answer.
async fn exchange(base: &str, send: impl FnOnce() -> Sent + Send + 'static) -> Result<(u16, Vec<u8>)> {
    let mut response = waited(base, send).await?;
    let read = move || {
        let status = response.status().as_u16();
        let bytes = response.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_to_vec();
        Ok((status, bytes.map_err(|error| unreadable().cause(error))?))
    };
    tokio::task::spawn_blocking(read).await.map_err(|error| Error::bug("a request of the CLI panicked").cause(error))?
}

/// Sends a request to a server, and waits until its answer begins.
async fn waited(base: &str, send: impl FnOnce() -> Sent + Send + 'static) -> Result<axum::http::Response<ureq::Body>> {
    let sent =
        tokio::task::spawn_blocking(send).await.map_err(|error| Error::bug("a request of the CLI panicked").cause(error))?;
    sent.map_err(|error| {
        SERVER_UNREACHABLE.error(format!("no answer from {base}")).hint("is it running? `loopwright up` starts one").cause(error)
    })
}

fn put_accept<B>(request: &mut Request<B>, accept: &str) -> Result<()> {
    let accept =
        HeaderValue::from_str(accept).map_err(|error| Error::bug("a media type of the CLI is malformed").cause(error))?;
    request.headers_mut().insert(header::ACCEPT, accept);
    Ok(())
}

/// The body of an answer, for readers that wait.
struct BodyReader {
    pieces: tokio::sync::mpsc::Receiver<std::io::Result<Bytes>>,
    piece: Bytes,
}

impl BodyReader {
    fn over(body: Body) -> Self {
        let (sender, pieces) = tokio::sync::mpsc::channel(4);
        tokio::spawn(async move {
            let mut body = body.into_data_stream();
            while let Some(piece) = body.next().await {
                if sender.send(piece.map_err(std::io::Error::other)).await.is_err() {
                    return;
                }
            }
        });
        Self { pieces, piece: Bytes::new() }
    }
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                None => return Ok(0),
                Some(piece) => self.piece = piece?,
            }
        }
        let part = self.piece.split_to(self.piece.len().min(buffer.len()));
        buffer[..part.len()].copy_from_slice(&part);
        Ok(part.len())
    }
}

/// The pieces of a file, read beside whoever takes them and not far ahead.
fn pumped(mut content: Box<dyn Read + Send>) -> impl futures::Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    tokio::task::spawn_blocking(move || {
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let read = match content.read(&mut piece) {
                Ok(0) => return,
                Ok(n_bytes) => Ok(Bytes::copy_from_slice(piece.get(..n_bytes).unwrap_or_default())),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let is_over = read.is_err();
            if sender.blocking_send(read).is_err() || is_over {
                return;
            }
        }
    });
    futures::stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|piece| (piece, receiver)) })
}

fn parse(bytes: &[u8]) -> Result<Value> {
    serde_json::from_slice(bytes).map_err(|error| unreadable().cause(error))
}

fn unreadable() -> Error {
    SERVER_ANSWER.error("the server's answer is not readable").hint("is this address a Loopwright server of the same version?")
}

/// The error that a problem document (RFC 9457) or an answer in MLflow's form describes, so that exit codes and hints are the same as in process.
fn problem(status: u16, value: &Value) -> Error {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let kind =
        text("kind").and_then(|kind| serde_json::from_value(Value::String(kind.to_owned())).ok()).unwrap_or(match status {
            401 => Kind::Unauthenticated,
            403 => Kind::Forbidden,
            404 => Kind::NotFound,
            409 => Kind::Conflict,
            422 => Kind::Refused,
            429 => Kind::Exhausted,
            400..500 => Kind::Invalid,
            _ => Kind::Unavailable,
        });
    // Codes are `'static` everywhere else; the few that a client receives live as long as its process.
    let code: &'static str =
        Box::leak(text("code").or_else(|| text("error_code")).unwrap_or("server-error").to_owned().into_boxed_str());
    let message = ["detail", "message", "title"].into_iter().find_map(text);
    let message = message.map_or_else(|| format!("the server answered {status}"), str::to_owned);
    let error = (Failure { code, kind }).error(message);
    let error = match value.get("place").and_then(|place| serde_json::from_value(place.clone()).ok()) {
        Some(place) => error.at(place),
        None => error,
    };
    match text("hint") {
        Some(hint) => error.hint(hint),
        None => error,
    }
}
