"""A certificate authority for a test: openssl makes it and what it issues, in a directory of its own. Nothing here is worth keeping secret."""

import os
import ssl
import subprocess


def run(*words):
    result = subprocess.run(["openssl", *words], capture_output=True, text=True, timeout=60)
    if result.returncode:
        raise RuntimeError(f"openssl {words[0]}: {result.stderr[-500:]}")


class Pair:
    """A certificate and its key, and the authority that it comes from."""

    def __init__(self, base, ca=None):
        self.cert, self.key, self.ca = base + ".pem", base + ".key", ca

    def context(self):
        """Of a client that shows it and trusts what its authority has issued."""
        context = ssl.create_default_context(cafile=self.ca)
        context.load_cert_chain(self.cert, self.key)
        return context


class Authority(Pair):
    def __init__(self, dir_name, name):
        os.makedirs(dir_name, exist_ok=True)
        self.dir = dir_name
        super().__init__(os.path.join(dir_name, "ca"))
        run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.key, "-out", self.cert, "-days", "30", "-subj", f"/CN={name}",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")

    def issue(self, name, purpose, days=10):
        """A certificate for 127.0.0.1; days=-1: one that has expired."""
        pair = Pair(os.path.join(self.dir, name), self.cert)
        request, extensions = pair.cert + ".csr", pair.cert + ".ext"
        with open(extensions, "w", encoding="utf-8") as file:
            file.write(f"subjectAltName=IP:127.0.0.1\nextendedKeyUsage={purpose}\nkeyUsage=critical,digitalSignature\nbasicConstraints=critical,CA:FALSE\n")
        run("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", pair.key, "-out", request, "-subj", f"/CN={name}")
        run("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial", "-days", str(days), "-extfile", extensions, "-out", pair.cert)
        os.chmod(pair.key, 0o600)
        return pair
