//! Which servers are trusted.

use std::path::Path;
use std::sync::Arc;

use aws_sdk_ec2::error::BoxError;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// The certificate authorities to which every endpoint of the standard partition chains: Amazon Root CA 1-4 and Starfield
/// Services Root G2. Parsing the system's 145 instead costs 6.5 ms of each cold start.
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon_roots.pem");

/// The variables that name a file of trusted authorities, as every AWS SDK and OpenSSL read them. Such a file replaces
/// [`AMAZON_ROOTS`].
const CA_FILES: [&str; 2] = ["AWS_CA_BUNDLE", "SSL_CERT_FILE"];

/// The TLS configuration of all connections: rustls's defaults, and the trusted authorities.
///
/// # Errors
/// A configured file of authorities that cannot be read.
pub(super) fn tls_config(in_standard_partition: bool) -> Result<ClientConfig, BoxError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(trusted_authorities(in_standard_partition)?)
        .with_no_client_auth())
}

fn trusted_authorities(in_standard_partition: bool) -> Result<RootCertStore, BoxError> {
    let configured =
        CA_FILES.iter().find_map(|name| Some((name, std::env::var_os(name).filter(|file| !file.is_empty())?)));
    match configured {
        Some((name, file)) => of_file(Path::new(&file))
            .map_err(|error| format!("{name} names the file {}, which cannot be read: {error}", file.display()).into()),
        None if in_standard_partition => of_pem(AMAZON_ROOTS),
        None => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            Ok(roots)
        }
    }
}

fn of_file(file: &Path) -> Result<RootCertStore, BoxError> {
    let roots = of_pem(&std::fs::read(file)?)?;
    if roots.is_empty() { Err("it has no certificate".into()) } else { Ok(roots) }
}

fn of_pem(pem: &[u8]) -> Result<RootCertStore, BoxError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate?)?;
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amazons_authorities_are_five() {
        assert_eq!(of_pem(AMAZON_ROOTS).unwrap().len(), 5);
    }

    #[test]
    fn a_file_without_a_certificate_is_refused() {
        let file = std::env::temp_dir().join(format!("cml-authorities-{}", std::process::id()));
        for (text, expected) in
            [("", "it has no certificate"), ("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", "")]
        {
            std::fs::write(&file, text).unwrap();
            let error = of_file(&file).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        std::fs::write(&file, AMAZON_ROOTS).unwrap();
        assert_eq!(of_file(&file).unwrap().len(), 5);
        std::fs::remove_file(&file).unwrap();
    }
}
