//! Connections to PostgreSQL under TLS. They need a server with `ssl = on`, as `scripts/postgres-test.sh` starts one.

use lw_core::Result;
use lw_store::testing::POSTGRES_VARIABLE;
use lw_store::{BAD_STORE_URL, METADATA_TLS, METADATA_UNREACHABLE, MetadataUrl, Store};

/// The test's server under another name and with options.
fn address(host: &str, options: &str) -> Option<String> {
    let server = std::env::var(POSTGRES_VARIABLE).ok()?;
    let server = server.replace("127.0.0.1", host);
    let separator = if server.contains('?') { '&' } else { '?' };
    Some(format!("{server}{separator}{options}"))
}

async fn ask(address: &str, sql: &'static str) -> Result<String> {
    let store = Store::open(&MetadataUrl::parse(address)?)?;
    store.read(move |reader| reader.query_opt(sql, &[])?.map_or(Ok(String::new()), |row| row.text("answer"))).await
}

async fn is_encrypted(host: &str, options: &str) -> Result<bool> {
    let sql = "SELECT ssl::text AS answer FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    Ok(ask(&address(host, options).unwrap_or_default(), sql).await? == "true")
}

/// The file of the authority that signed the server's certificate; none if there is no server with TLS.
async fn authority() -> Option<String> {
    let address = address("127.0.0.1", "sslmode=disable")?;
    let is_on = ask(&address, "SELECT current_setting('ssl') AS answer").await.unwrap();
    let file = ask(&address, "SELECT current_setting('ssl_ca_file') AS answer").await.unwrap();
    (is_on == "on" && !file.is_empty()).then_some(file)
}

#[tokio::test]
async fn connections_are_encrypted_as_the_address_asks() {
    let Some(authority) = authority().await else { return };
    let trusted = format!("sslmode=verify-full&sslrootcert={authority}");
    for (host, options, want) in [
        ("127.0.0.1", "sslmode=disable", false),
        ("127.0.0.1", "application_name=x", true),
        ("127.0.0.1", "sslmode=prefer", true),
        ("127.0.0.1", "sslmode=require", true),
        ("localhost", &trusted, true),
        ("127.0.0.1", &trusted.replace("verify-full", "verify-ca"), true),
    ] {
        assert_eq!(is_encrypted(host, options).await.unwrap(), want, "{host} {options}");
    }
}

#[tokio::test]
async fn an_untrusted_server_is_refused() {
    let Some(authority) = authority().await else { return };
    let not_for_this_host = format!("sslmode=verify-full&sslrootcert={authority}");
    for (host, options) in [
        ("127.0.0.1", not_for_this_host.as_str()),
        ("localhost", "sslmode=verify-full"),
        ("localhost", "sslmode=verify-ca"),
        ("localhost", "sslmode=verify-full&sslrootcert=/nowhere/ca.pem"),
    ] {
        let error = is_encrypted(host, options).await.unwrap_err();
        assert!(
            error.is(METADATA_TLS) && error.hint_text().is_some_and(|hint| hint.contains("sslrootcert")),
            "{options}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_server_without_tls_is_never_talked_to_in_the_clear_by_a_client_that_requires_it() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    // What a PostgreSQL with `ssl = off` says to a request for TLS; whatever comes after it was said in the clear.
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 8];
        stream.read_exact(&mut request).await.unwrap();
        stream.write_all(b"N").await.unwrap();
        let mut rest = Vec::new();
        // The client hangs up, by whichever way.
        let _ = stream.read_to_end(&mut rest).await;
        rest
    });
    let address = format!("postgres://ana:hunter2@127.0.0.1:{port}/db?sslmode=require");
    let open = tokio::task::spawn_blocking(move || Store::open(&MetadataUrl::parse(&address).unwrap()));
    let error = open.await.unwrap().unwrap_err();
    assert!(error.is(METADATA_TLS) && !error.message().contains("hunter2"), "{error:?}");
    assert_eq!(server.await.unwrap(), b"");
}

#[test]
fn an_unknown_mode_is_refused() {
    let error = MetadataUrl::parse("postgres://db/x?sslmode=allow").unwrap_err();
    assert!(error.is(BAD_STORE_URL) && error.hint_text().unwrap().contains("verify-full"));
    let closed = Store::open(&MetadataUrl::parse("postgres://ana@127.0.0.1:1/x?sslmode=require").unwrap()).unwrap_err();
    assert!(closed.is(METADATA_UNREACHABLE));
}
