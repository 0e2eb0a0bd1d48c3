import Foundation

/// An IPv4 address of this host, and the network that it belongs to.
public struct NetworkInterface: Codable, Equatable, Sendable {
  /// Of the interface: "eth0".
  public let name: String
  /// In network byte order.
  let bits: UInt32
  /// Bits that the addresses of its network begin with alike, 0...32.
  let prefixLength: Int

  /// - Parameters:
  ///   - address: four numbers, "10.77.0.2".
  ///   - prefixLength: 0...32.
  public init(name: String, address: String, prefixLength: Int) {
    self.init(name: name, bits: inet_addr(address), prefixLength: prefixLength)
  }

  private init(name: String, bits: UInt32, prefixLength: Int) {
    (self.name, self.bits, self.prefixLength) = (name, bits, prefixLength)
  }

  /// "10.77.0.2".
  public var address: String { Self.dotted(bits) }

  /// "10.77.0.0/24".
  public var network: String {
    let mask = prefixLength == 0 ? 0 : UInt32.max << UInt32(32 - prefixLength)
    return "\(Self.dotted(bits & mask.bigEndian))/\(prefixLength)"
  }

  public var isLoopback: Bool { bits & 0xFF == 127 }

  private static func dotted(_ bits: UInt32) -> String {
    withUnsafeBytes(of: bits) { $0.map(String.init).joined(separator: ".") }
  }

  /// Those of this host that are up, in the system's order.
  public static func all() -> [NetworkInterface] {
    var list: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&list) == 0 else { return [] }
    defer { freeifaddrs(list) }
    return sequence(first: list, next: { $0?.pointee.ifa_next }).compactMap { entry in
      guard let entry, entry.pointee.ifa_flags & UInt32(IFF_UP) != 0, let address = bits(entry.pointee.ifa_addr) else {
        return nil
      }
      return NetworkInterface(
        name: String(cString: entry.pointee.ifa_name), bits: address,
        prefixLength: bits(entry.pointee.ifa_netmask)?.nonzeroBitCount ?? 32)
    }
  }

  private static func bits(_ address: UnsafeMutablePointer<sockaddr>?) -> UInt32? {
    guard let address, address.pointee.sa_family == sa_family_t(AF_INET) else { return nil }
    return address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { $0.pointee.sin_addr.s_addr }
  }
}
