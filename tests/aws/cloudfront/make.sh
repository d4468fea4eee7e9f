#!/usr/bin/env bash
# Makes the keys and what openssl signs with them, as CloudFront's guide has it ("Linux commands and OpenSSL for base64 encoding
# and encryption", with SHA-256). The keys are of no distribution.
set -euo pipefail
cd "$(dirname "$0")"

openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.pem
openssl ecparam -name prime256v1 -genkey -out ecdsa.pem
printf '%s' '{"Statement":[{"Resource":"https://d111111abcdef8.cloudfront.net/derived/ab/small.webp","Condition":{"DateLessThan":{"AWS:EpochTime":1767290400}}}]}' >canned.json
printf '%s' '{"Statement":[{"Resource":"https://d111111abcdef8.cloudfront.net/uploads/minji/*","Condition":{"DateLessThan":{"AWS:EpochTime":1767290400},"DateGreaterThan":{"AWS:EpochTime":1767290000},"IpAddress":{"AWS:SourceIp":"192.0.2.0/24"}}}]}' >custom.json
for kind in rsa ecdsa; do
  openssl pkey -in $kind.pem -pubout -out $kind.pub.pem
  for policy in canned custom; do
    openssl dgst -sha256 -sign $kind.pem $policy.json | openssl base64 -A | tr -- '+=/' '-_~' >$policy.$kind.txt
  done
done
