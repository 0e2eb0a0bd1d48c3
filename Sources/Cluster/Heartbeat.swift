import Foundation

/// What ranks tell each other beside MPI: that they live and how far they have come, or that the job ends.
enum Heartbeat: Equatable {
  /// `moves` goes up as long as the rank gets on.
  case beat(rank: Int, moves: Int, ProgressState)
  /// What has been found, for ranks that end because of it.
  case end(rank: Int)

  private static let words = 8

  /// - Parameter token: of the job; datagrams of others are no heartbeats.
  func bytes(token: UInt64) -> [UInt8] {
    let values: [UInt64] =
      switch self {
      case .beat(let rank, let moves, let state):
        [0, rank, moves, state.counter, state.operation, state.activity, state.number].map { UInt64($0) }
      case .end(let rank): [1, UInt64(rank), 0, 0, 0, 0, 0]
      }
    return ([token] + values).flatMap { word in withUnsafeBytes(of: word.littleEndian) { Array($0) } }
  }

  init?(_ bytes: ArraySlice<UInt8>, token: UInt64) {
    guard bytes.count == 8 * Self.words else { return nil }
    let words = bytes.withUnsafeBytes { buffer in
      (0..<Self.words).map { UInt64(littleEndian: buffer.loadUnaligned(fromByteOffset: 8 * $0, as: UInt64.self)) }
    }
    guard words[0] == token, words.dropFirst().allSatisfy({ $0 <= UInt64(Int.max) }) else { return nil }
    let numbers = words.dropFirst().map { Int(truncatingIfNeeded: $0) }
    switch numbers[0] {
    case 0:
      self = .beat(
        rank: numbers[1], moves: numbers[2],
        ProgressState(counter: numbers[3], operation: numbers[4], activity: numbers[5], number: numbers[6]))
    case 1: self = .end(rank: numbers[1])
    default: return nil
    }
  }
}

/// Where a rank can be reached: its datagram socket's port at every address of its host.
struct Endpoint: Codable, Sendable {
  let host: String
  /// IPv4, in network byte order.
  let addresses: [UInt32]
  /// In network byte order.
  let port: UInt16
}

/// A socket for heartbeats: datagrams, for a link that is cut must be silence and nothing else.
final class HeartbeatSocket: Sendable {
  private let descriptor: Int32
  private let port: UInt16

  /// nil where none opens.
  init?() {
    let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return nil }
    var address = Self.address(INADDR_ANY, port: 0)
    let isBound = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let own = UnsafeMutablePointer(mutating: $0)
        return bind(descriptor, $0, length) == 0 && getsockname(descriptor, own, &length) == 0
      }
    }
    guard isBound else {
      close(descriptor)
      return nil
    }
    self.descriptor = descriptor
    port = address.sin_port
  }

  deinit { close(descriptor) }

  private static func address(_ host: UInt32, port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = host
    address.sin_port = port
    return address
  }

  /// Where this socket can be reached.
  func endpoint(host: String) -> Endpoint {
    Endpoint(host: host, addresses: NetworkInterface.all().map(\.bits), port: port)
  }

  /// To one address; whether it arrives is not known.
  func send(_ bytes: [UInt8], to address: sockaddr_in) {
    var address = address
    _ = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        sendto(
          descriptor, bytes, bytes.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL), $0,
          socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
  }

  /// To every address of an endpoint: which of them is connected is not known.
  ///
  /// - Parameter isOwnHost: whether it is on this machine; the loopback addresses of another are not tried.
  func send(_ bytes: [UInt8], to endpoint: Endpoint, isOwnHost: Bool) {
    for host in endpoint.addresses where isOwnHost || host & 0xFF != 127 {
      send(bytes, to: Self.address(host, port: endpoint.port))
    }
  }

  /// The next datagram and its sender, waiting for so long at most.
  func receive(seconds: Double) -> (bytes: ArraySlice<UInt8>, from: sockaddr_in)? {
    var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    guard poll(&waiting, 1, Int32(max(0, seconds) * 1000)) > 0 else { return nil }
    var bytes = [UInt8](repeating: 0, count: 2048)
    var address = sockaddr_in()
    let count = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        return recvfrom(descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT), $0, &length)
      }
    }
    return count >= 0 ? (bytes.prefix(count), address) : nil
  }
}
