"""Pulsar's end-to-end encryption as an application does it by itself: an AES key for the messages, wrapped by RSA."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

WRAPPING = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)


class Keys:
    """A fresh RSA pair, in PEM files for the clients that want those."""

    def __init__(self, folder: Path) -> None:
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.private_file, self.public_file = folder / "private.pem", folder / "public.pem"
        self.private_file.write_bytes(self.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()))
        self.public_file.write_bytes(self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))

    def decrypt(self, delivery: dict) -> bytes:
        """The content of a delivery that came as it is stored."""
        context = delivery["encryptionContext"]
        (key,) = context["keys"].values()
        message_key = self.private.decrypt(base64.b64decode(key["keyValue"]), WRAPPING)
        sealed = base64.b64decode(delivery["payload"])
        return AESGCM(message_key).decrypt(base64.b64decode(context["param"]), sealed, None)


class Sealer:
    """Encrypts on the application's side: the key goes into the URL, the rest into each publish."""

    def __init__(self, keys: Keys) -> None:
        self.message_key = AESGCM.generate_key(256)
        self.wrapped = keys.private.public_key().encrypt(self.message_key, WRAPPING)

    def parameter(self) -> str:
        """For `encryptionKeys`."""
        key = {"key": {"keyValue": base64.b64encode(self.wrapped).decode(), "metadata": {}}}
        return base64.b64encode(json.dumps(key).encode()).decode()

    def seal(self, payload: bytes) -> tuple[bytes, str]:
        """The payload to publish, and its `encryptionParam`."""
        nonce = os.urandom(12)
        return AESGCM(self.message_key).encrypt(nonce, payload, None), base64.b64encode(nonce).decode()
