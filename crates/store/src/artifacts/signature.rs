//! Signed addresses of requests with parameters (AWS Signature Version 4, "Authenticating Requests: Using Query Parameters").

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};
use url::{Position, Url};

pub(super) struct Key<'a> {
    pub id: &'a str,
    pub secret: &'a str,
    pub token: Option<&'a str>,
}

/// The address `like`, which is signed for some request, signed for this method and with these parameters more: for as long, from the
/// same time on, in the same region. None if it is not signed.
pub(super) fn signed(like: &Url, key: &Key<'_>, method: &str, more: &[(&str, String)]) -> Option<String> {
    let mut parameters: BTreeMap<String, String> = like.query_pairs().into_owned().collect();
    parameters.remove("X-Amz-Signature")?;
    let scope = parameters.get("X-Amz-Credential")?.split_once('/')?.1.to_owned();
    let at = parameters.get("X-Amz-Date")?.clone();
    parameters.insert("X-Amz-Credential".to_owned(), format!("{}/{scope}", key.id));
    if let Some(token) = key.token {
        parameters.insert("X-Amz-Security-Token".to_owned(), token.to_owned());
    }
    parameters.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    let query: Vec<String> = parameters.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    let query = query.join("&");
    let host = &like[Position::BeforeHost..Position::AfterPort];
    let request = format!("{method}\n{}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD", like.path());
    let text = format!("AWS4-HMAC-SHA256\n{at}\n{scope}\n{}", hex::encode(Sha256::digest(request)));
    // The scope is date/region/service/aws4_request: each word makes the key of the next one.
    let key = scope.split('/').fold(format!("AWS4{}", key.secret).into_bytes(), |key, word| mac(&key, word));
    let signature = hex::encode(mac(&key, &text));
    Some(format!("{}?{query}&X-Amz-Signature={signature}", &like[..Position::AfterPath]))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// All but letters, digits, `-`, `.`, `_` and `~` as `%XX`.
fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use object_store::aws::AmazonS3Builder;
    use object_store::path::Path;
    use object_store::signer::Signer;

    use super::*;

    async fn check(token: Option<&str>) {
        let builder = AmazonS3Builder::new().with_bucket_name("b").with_region("eu-north-1").with_access_key_id("AKID");
        let builder = builder.with_secret_access_key("s3cr3t/+").with_virtual_hosted_style_request(true);
        let builder = token.into_iter().fold(builder, |builder, token| builder.with_token(token));
        let store = builder.build().unwrap();
        let theirs = store.signed_url(Default::default(), &Path::from("a b/ü"), Duration::from_secs(60)).await.unwrap();
        let key = Key { id: "AKID", secret: "s3cr3t/+", token };
        let ours: Url = signed(&theirs, &key, "GET", &[]).unwrap().parse().unwrap();
        let parameters = |url: &Url| url.query_pairs().into_owned().collect::<BTreeMap<String, String>>();
        assert_eq!(parameters(&ours), parameters(&theirs), "the object store's library signs the same request alike");
        assert_eq!(ours.path(), theirs.path());
        let part = [("partNumber", "7".to_owned()), ("uploadId", "x/y+z".to_owned())];
        let ours = signed(&theirs, &key, "PUT", &part).unwrap();
        assert!(ours.contains("&partNumber=7&uploadId=x%2Fy%2Bz&X-Amz-Signature="), "{ours}");
    }

    #[tokio::test]
    async fn addresses_are_signed_as_the_object_store_does() {
        check(None).await;
        check(Some("a/token==")).await;
    }

    /// The signatures are those of botocore 1.44.5 (`S3SigV4QueryAuth`) for the same request at the same time.
    #[test]
    fn parts_are_signed_as_the_sdk_of_the_protocol_does() {
        let like = "https://b.s3.eu-north-1.amazonaws.com/a%20b/x?X-Amz-Algorithm=AWS4-HMAC-SHA256\
            &X-Amz-Credential=OLD%2F20261123%2Feu-north-1%2Fs3%2Faws4_request&X-Amz-Date=20261123T120000Z&X-Amz-Expires=60\
            &X-Amz-SignedHeaders=host&X-Amz-Signature=0";
        let part = [("uploadId", "x/y+z".to_owned()), ("partNumber", "7".to_owned())];
        for (token, want) in [
            (None, "af80506d19b575a56c358a048739061574d1a7fa7a489f8daf2c04f39da0bc03"),
            (Some("a/token=="), "7146b20077fc6bc2ba69c41fac8744f2405c00dde07c122a959b887c2d81676f"),
        ] {
            let key = Key { id: "AKID", secret: "s3cr3t/+", token };
            let ours = signed(&like.parse().unwrap(), &key, "PUT", &part).unwrap();
            assert!(ours.ends_with(&format!("&X-Amz-Signature={want}")), "{ours}");
        }
    }

    #[test]
    fn what_is_not_signed_is_not_signed_again() {
        let key = Key { id: "a", secret: "b", token: None };
        assert_eq!(signed(&"http://host/a".parse().unwrap(), &key, "GET", &[]), None);
    }
}
