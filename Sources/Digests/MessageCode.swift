import CCrypto

/// The HMAC-SHA256 (RFC 2104) of a message, 32 bytes: who does not have the key can neither make nor guess it.
public func messageCode(of message: [UInt8], key: [UInt8]) -> [UInt8] {
  var code = [UInt8](repeating: 0, count: 32)
  var count = UInt32(code.count)
  let made = HMAC(EVP_sha256(), key, Int32(key.count), message, message.count, &code, &count)
  precondition(made != nil && count == 32, "libcrypto offers no HMAC with SHA-256")
  return code
}
