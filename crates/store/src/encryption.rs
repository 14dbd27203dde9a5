//! Encrypted connections to PostgreSQL, chosen by the address as with every client of PostgreSQL: `sslmode` and `sslrootcert`.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use lw_core::{Error, Result};
use postgres::config::SslMode;
use postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::certificates::{AnyCertificate, AnyName};
use crate::{BAD_STORE_URL, METADATA_TLS};

/// How much a connection is protected. Each mode means what it means to `libpq`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Disable,
    /// Encrypts if the server can.
    Prefer,
    /// Encrypts or fails. Whoever answers is believed.
    Require,
    /// The certificate must come from a known authority.
    VerifyCa,
    /// And it must be for this host.
    VerifyFull,
}

const MODES: &[(&str, Mode)] = &[
    ("disable", Mode::Disable),
    ("prefer", Mode::Prefer),
    ("require", Mode::Require),
    ("verify-ca", Mode::VerifyCa),
    ("verify-full", Mode::VerifyFull),
];

/// What an address says about encryption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Encryption {
    pub mode: Mode,
    /// PEM certificates of authorities; those of the system if there is none.
    authorities: Option<PathBuf>,
}

impl Encryption {
    /// Takes `sslmode` and `sslrootcert` out of an address and returns the rest, which the driver understands.
    pub(crate) fn split(url: &str) -> Result<(String, Self)> {
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut mode, mut authorities, mut rest) = (Mode::Prefer, None, Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", value)) => mode = parse_mode(value)?,
                Some(("sslrootcert", value)) => authorities = Some(decoded(value)).filter(|path| path != "system"),
                _ => rest.push(pair),
            }
        }
        // As with libpq: who names authorities wants them asked.
        if mode == Mode::Require && authorities.is_some() {
            mode = Mode::VerifyCa;
        }
        let rest = if rest.is_empty() { address.to_owned() } else { format!("{address}?{}", rest.join("&")) };
        Ok((rest, Self { mode, authorities: authorities.map(PathBuf::from) }))
    }

    /// The driver's own, coarser mode.
    pub(crate) fn ssl_mode(&self) -> SslMode {
        match self.mode {
            Mode::Disable => SslMode::Disable,
            Mode::Prefer => SslMode::Prefer,
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
        }
    }

    pub(crate) fn connector(&self) -> Result<Connector> {
        let provider = Arc::new(ring::default_provider());
        let verifier = self.verifier(&provider)?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::bug("the TLS library has no protocol versions").cause(error))?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Ok(Connector(Arc::new(config)))
    }

    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>> {
        if !matches!(self.mode, Mode::VerifyCa | Mode::VerifyFull) {
            return Ok(Arc::new(AnyCertificate(Arc::clone(provider))));
        }
        let roots = match &self.authorities {
            Some(file) => authorities_in(file)?,
            None => authorities_of_system()?,
        };
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
        let verifier = verifier.map_err(|error| untrusted("no certificate of an authority can be used").cause(error))?;
        Ok(if self.mode == Mode::VerifyCa { Arc::new(AnyName(verifier)) } else { verifier })
    }
}

fn parse_mode(text: &str) -> Result<Mode> {
    let found = MODES.iter().find(|(name, _)| *name == text);
    found.map(|(_, mode)| *mode).ok_or_else(|| {
        let shown: String = text.chars().take(40).collect();
        BAD_STORE_URL
            .error(format!("`sslmode={}` is not known", shown.escape_debug()))
            .hint("write sslmode=disable, prefer, require, verify-ca or verify-full")
    })
}

/// `%2F` and the like. A plus is a plus here, unlike in forms.
fn decoded(value: &str) -> String {
    let value = value.replace('+', "%2B");
    url::form_urlencoded::parse(value.as_bytes()).next().map_or_else(String::new, |(text, _)| text.into_owned())
}

fn authorities_in(file: &Path) -> Result<RootCertStore> {
    let unreadable = || untrusted(format!("no certificates can be read from {}", file.display()));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unreadable().cause(error))? {
        let certificate = certificate.map_err(|error| unreadable().cause(error))?;
        roots.add(certificate).map_err(|error| unreadable().cause(error))?;
    }
    if roots.is_empty() { Err(unreadable()) } else { Ok(roots) }
}

fn authorities_of_system() -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() { Err(untrusted("this system has no certificates of authorities")) } else { Ok(roots) }
}

fn untrusted(message: impl Into<String>) -> Error {
    METADATA_TLS.error(message).hint("name a PEM file with the authority of the server's certificate: sslrootcert=/path/ca.pem")
}

/// Wraps the driver's connections in TLS.
#[derive(Clone)]
pub(crate) struct Connector(Arc<ClientConfig>);

/// The same for one host.
pub(crate) struct HostConnector {
    config: Arc<ClientConfig>,
    host: ServerName<'static>,
}

type BoxedError = Box<dyn std::error::Error + Send + Sync>;

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> MakeTlsConnect<S> for Connector {
    type Stream = Encrypted<S>;
    type TlsConnect = HostConnector;
    type Error = BoxedError;

    fn make_tls_connect(&mut self, host: &str) -> Result<HostConnector, BoxedError> {
        Ok(HostConnector { config: Arc::clone(&self.0), host: ServerName::try_from(host.to_owned())? })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for HostConnector {
    type Stream = Encrypted<S>;
    type Error = BoxedError;
    type Future = Pin<Box<dyn Future<Output = Result<Encrypted<S>, BoxedError>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let connector = tokio_rustls::TlsConnector::from(self.config);
            Ok(Encrypted(connector.connect(self.host, stream).await?))
        })
    }
}

/// A connection under TLS. Without channel binding, which needs the certificate's own hash function.
pub(crate) struct Encrypted<S>(tokio_rustls::client::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Encrypted<S> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Encrypted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Encrypted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, rest: &str, mode: Mode, authorities: Option<&str>) {
        let (found, encryption) = Encryption::split(url).unwrap();
        assert_eq!((found.as_str(), encryption.mode), (rest, mode), "{url}");
        assert_eq!(encryption.authorities.as_deref(), authorities.map(Path::new), "{url}");
    }

    #[test]
    fn the_address_says_how_to_encrypt() {
        check("postgres://db/x", "postgres://db/x", Mode::Prefer, None);
        check("postgres://db/x?sslmode=disable", "postgres://db/x", Mode::Disable, None);
        check("postgres://db/x?a=b&sslmode=verify-full&c=d", "postgres://db/x?a=b&c=d", Mode::VerifyFull, None);
        check(
            "postgres://db/x?sslmode=require&sslrootcert=%2Fa%20b+c.pem",
            "postgres://db/x",
            Mode::VerifyCa,
            Some("/a b+c.pem"),
        );
        check("postgres://db/x?sslmode=verify-full&sslrootcert=system", "postgres://db/x", Mode::VerifyFull, None);
        for bad in ["allow", "", "Require", "verify_full"] {
            assert!(Encryption::split(&format!("postgres://db/x?sslmode={bad}")).unwrap_err().is(BAD_STORE_URL), "{bad}");
        }
    }
}
