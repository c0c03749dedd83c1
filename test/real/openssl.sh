#!/bin/bash
# ctest: labels=real timeout=180
#
# openssl: speed in two processes (well-formed results), digests, ciphers and keys (equal ones).
# shellcheck source-path=SCRIPTDIR source=common.bash
source "$(dirname "$0")/common.bash"
needs openssl openssl

# Rates and counts vary from run to run; two processes print their lines in either order.
normalise() {
    case $1 in
    speed-*) sed -E 's/[0-9]+\.[0-9]+/N/g; s/(\+R|: |\+F:[0-9]+)(:?)[0-9]+/\1\2N/; s/ +/ /g' | sort ;;
    *) cat ;;
    esac
}

awk 'BEGIN { for (i = 0; i < 300000; i++) print i, i * i % 10007, "some text" }' >"$work/data"
takes_malloc_from_library openssl version
for algorithm in sha256 aes-256-gcm; do
    both "speed-$algorithm" openssl speed -multi 2 -seconds 1 -bytes 1024 -evp "$algorithm"
    exited_with 0 "speed-$algorithm"
    grep -qiE "^$algorithm( +[0-9]+\.[0-9]+k) *$" "$work/speed-$algorithm.preload.out" ||
        problem "openssl speed printed no rates for $algorithm"
done
both digest openssl dgst -sha512 "$work/data"
both encrypt openssl enc -aes-256-cbc -pbkdf2 -S 0123456789abcdef -pass pass:secret -base64 -in "$work/data"
exited_with 0 encrypt
both primes openssl prime -checks 20 1000000007 999999999989 1000000000039 123456789
cat >"$work/key.in" <<'END'
asn1=SEQUENCE:key
[key]
version=INTEGER:0
text=UTF8:some text
END
both asn1 openssl asn1parse -genconf "$work/key.in"
both ciphers openssl ciphers -v ALL
both key openssl genpkey -algorithm ed25519 -out key.pem
both request openssl req -x509 -key key.pem -subj /CN=localhost -out certificate.pem
both verify openssl verify -CAfile certificate.pem certificate.pem
exited_with 0 verify
finish
