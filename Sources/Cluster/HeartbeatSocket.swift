import Foundation

/// An address of a host as IPv6 has it, 16 bytes; IPv4's are those behind ::ffff:0:0.
package struct HostAddress: Codable, Equatable, Sendable {
  let bytes: [UInt8]

  private static let ofIPv4: [UInt8] = [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF]

  /// Four bytes; nil for an address that IPv4 cannot reach.
  var ipv4: [UInt8]? { bytes.starts(with: Self.ofIPv4) ? Array(bytes.dropFirst(12)) : nil }

  package var isIPv4: Bool { ipv4 != nil }

  var isLoopback: Bool { ipv4.map { $0[0] == 127 } ?? (bytes.dropLast().allSatisfy { $0 == 0 } && bytes.last == 1) }

  /// nil for what is no address of the internet's, and for those that lead somewhere on one link alone (fe80::).
  private init?(_ address: UnsafeMutablePointer<sockaddr>?) {
    guard let address else { return nil }
    switch address.pointee.sa_family {
    case sa_family_t(AF_INET):
      bytes =
        Self.ofIPv4
        + address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
          withUnsafeBytes(of: $0.pointee.sin_addr) { Array($0) }
        }
    case sa_family_t(AF_INET6):
      bytes = address.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) {
        withUnsafeBytes(of: $0.pointee.sin6_addr) { Array($0) }
      }
      if bytes[0] == 0xFE, bytes[1] & 0xC0 == 0x80 { return nil }
    default: return nil
    }
  }

  /// Those of this host's interfaces that are up, in the system's order.
  static func all() -> [HostAddress] {
    var list: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&list) == 0 else { return [] }
    defer { freeifaddrs(list) }
    return sequence(first: list, next: { $0?.pointee.ifa_next }).compactMap { entry in
      guard let entry, entry.pointee.ifa_flags & UInt32(IFF_UP) != 0 else { return nil }
      return HostAddress(entry.pointee.ifa_addr)
    }
  }
}

/// Where a rank can be reached: its datagram socket's port at every address of its host.
package struct Endpoint: Codable, Sendable {
  let host: String
  package let addresses: [HostAddress]
  /// In network byte order; 0 where there is no socket.
  let port: UInt16

  /// The same with some of its addresses.
  package func filter(_ isKept: (HostAddress) -> Bool) -> Endpoint {
    Endpoint(host: host, addresses: addresses.filter(isKept), port: port)
  }
}

/// Where a datagram goes to, or has come from.
package struct SocketAddress: Sendable {
  private var storage = sockaddr_storage()
  private var count = socklen_t(MemoryLayout<sockaddr_storage>.size)

  fileprivate init() {}

  /// An address of IPv6, or of IPv4.
  ///
  /// - Parameter host: nil for every address of this host.
  /// - Returns: nil where the family cannot reach it.
  fileprivate init?(_ host: HostAddress?, port: UInt16, family: Int32) {
    if family == AF_INET6 {
      var address = sockaddr_in6()
      (address.sin6_family, address.sin6_port) = (sa_family_t(family), port)
      if let host { withUnsafeMutableBytes(of: &address.sin6_addr) { $0.copyBytes(from: host.bytes) } }
      set(address)
    } else {
      var address = sockaddr_in()
      (address.sin_family, address.sin_port) = (sa_family_t(family), port)
      if let host {
        guard let bytes = host.ipv4 else { return nil }
        withUnsafeMutableBytes(of: &address.sin_addr) { $0.copyBytes(from: bytes) }
      }
      set(address)
    }
  }

  private mutating func set<Address>(_ address: Address) {
    count = socklen_t(MemoryLayout<Address>.size)
    withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: address, as: Address.self) }
  }

  /// In network byte order; both families have it at one place.
  fileprivate var port: UInt16 {
    withUnsafeBytes(of: storage) { $0.load(fromByteOffset: MemoryLayout<sa_family_t>.size, as: UInt16.self) }
  }

  fileprivate mutating func with<Result>(
    _ body: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Result
  ) -> Result {
    var length = count
    defer { count = length }
    return withUnsafeMutablePointer(to: &storage) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, &length) }
    }
  }
}

/// A socket for heartbeats: datagrams, for a link that is cut must be silence and nothing else. Of IPv6, which reaches hosts
/// of IPv4 as well, unless the system has IPv4 alone.
package final class HeartbeatSocket: Sendable {
  private let descriptor: Int32
  private let family: Int32
  private let port: UInt16

  /// nil where none opens.
  package init?() {
    for family in [AF_INET6, AF_INET] {
      guard let (descriptor, port) = Self.open(family) else { continue }
      (self.descriptor, self.family, self.port) = (descriptor, family, port)
      return
    }
    return nil
  }

  deinit { close(descriptor) }

  private static func open(_ family: Int32) -> (descriptor: Int32, port: UInt16)? {
    let descriptor = socket(family, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0, var address = SocketAddress(nil, port: 0, family: family) else { return nil }
    var isOfIPv6Alone: Int32 = 0
    if family == AF_INET6 {
      setsockopt(
        descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &isOfIPv6Alone, socklen_t(MemoryLayout<Int32>.size))
    }
    let isBound = address.with { address, count in
      bind(descriptor, address, count.pointee) == 0 && getsockname(descriptor, address, count) == 0
    }
    guard isBound else {
      close(descriptor)
      return nil
    }
    return (descriptor, address.port)
  }

  /// Where this socket can be reached.
  package func endpoint(host: String) -> Endpoint { Endpoint(host: host, addresses: HostAddress.all(), port: port) }

  /// To one address; whether it arrives is not known.
  func send(_ bytes: [UInt8], to address: SocketAddress) {
    var address = address
    _ = address.with { address, count in
      sendto(descriptor, bytes, bytes.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL), address, count.pointee)
    }
  }

  /// To every address of an endpoint: which of them is connected is not known.
  ///
  /// - Parameter isOwnHost: whether it is on this machine; the loopback addresses of another are not tried.
  package func send(_ bytes: [UInt8], to endpoint: Endpoint, isOwnHost: Bool) {
    for host in endpoint.addresses where isOwnHost || !host.isLoopback {
      if let address = SocketAddress(host, port: endpoint.port, family: family) { send(bytes, to: address) }
    }
  }

  /// The next datagram and its sender, waiting for so long at most.
  package func receive(seconds: Double) -> (bytes: ArraySlice<UInt8>, from: SocketAddress)? {
    var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    guard poll(&waiting, 1, Int32(max(0, seconds) * 1000)) > 0 else { return nil }
    var bytes = [UInt8](repeating: 0, count: 2048)
    var address = SocketAddress()
    let received = address.with { address, count in
      recvfrom(descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT), address, count)
    }
    return received >= 0 ? (bytes.prefix(received), address) : nil
  }
}
