import Cluster

/// What a rank tells the others of its host's networks.
package struct HostNetworks: Codable {
  let host: String
  let interfaces: [NetworkInterface]
  /// What MPI leaves out there by this program's choice.
  let leftOut: [NetworkInterface]
  /// Whether the user has chosen MPI's networks.
  let isChosen: Bool

  package init(host: String, interfaces: [NetworkInterface], leftOut: [NetworkInterface], isChosen: Bool) {
    self.host = host
    self.interfaces = interfaces.filter { !$0.isLoopback }
    self.leftOut = leftOut
    self.isChosen = isChosen
  }
}

/// Whether hosts have addresses in common, over which Open MPI waits for ever.
///
/// - Parameter ranks: of every rank, by rank.
/// - Returns: nil for one host.
package func compareNetworks(_ ranks: [HostNetworks]) -> Finding? {
  let hosts = ranks.reduce(into: [HostNetworks]()) { known, rank in
    if !known.contains(where: { $0.host == rank.host }) { known.append(rank) }
  }
  guard hosts.count > 1 else { return nil }
  let all = hosts.flatMap { host in host.interfaces.map { (host.host, $0) } }
  let owners = Dictionary(grouping: all, by: \.1.address).mapValues { Set($0.map(\.0)).sorted() }
  let repeated = owners.filter { $0.value.count > 1 }.sorted { $0.key < $1.key }
  let own = hosts.map { host in
    host.interfaces.filter { owners[$0.address]?.count == 1 }.map(\.network)
  }
  let common = (own.first ?? []).filter { network in own.allSatisfy { $0.contains(network) } }
  let usable = (common.isEmpty ? own.flatMap { $0 } : common).reduce(into: [String]()) { list, network in
    if !list.contains(network) { list.append(network) }
  }
  let text = "\(hosts.count) hosts, which have \(usable.joined(separator: ", "))"
  guard !repeated.isEmpty else { return .ok("network", "\(text), and no address in common") }
  let shared = repeated.map { address, hosts in
    let name = all.first { $0.1.address == address }?.1.name ?? ""
    return "\(address) (\(name)) on \(hosts.joined(separator: ", "))"
  }
  if hosts.allSatisfy({ $0.isChosen }) {
    return .ok(
      "network", "\(text); in common: \(shared.joined(separator: "; ")); MPI's networks are chosen (btl_tcp_if)")
  }
  let isLeftOut = hosts.contains { !$0.leftOut.isEmpty } ? "; left out in this call" : ""
  let list = usable.joined(separator: ",")
  return .note(
    "network",
    "an address of several hosts, over which Open MPI may wait for ever: \(shared.joined(separator: "; "))\(isLeftOut)",
    "start runs by launch/hosts, or give mpirun --mca btl_tcp_if_include \(list) --mca oob_tcp_if_include \(list)")
}
