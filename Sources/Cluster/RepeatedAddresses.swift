import Foundation

/// Addresses that several hosts have, such as that of every host's bridge to its containers: Open MPI takes messages from
/// there for those of somebody else, and waits for ever.
///
/// A rank can tell before MPI starts whether it has an address of `mpirun`'s host, for Open MPI tells where that can be
/// reached. `launch/hosts` asks all hosts before it starts `mpirun`; `ala doctor` compares all of them afterwards.
public enum RepeatedAddresses {
  /// Open MPI's networks for messages, of which one may be given.
  static let included = "OMPI_MCA_btl_tcp_if_include"
  static let excluded = "OMPI_MCA_btl_tcp_if_exclude"
  /// What Open MPI leaves out where nothing is said.
  private static let usuallyExcluded = "127.0.0.1/8,sppp"

  /// Whether somebody has chosen MPI's networks, for ranks or for the whole host.
  public static func isChosen(_ environment: [String: String]) -> Bool {
    guard environment[included] == nil, environment[excluded] == nil else { return true }
    let files = ["\(environment["HOME"] ?? "")/.openmpi/mca-params.conf", "/etc/openmpi/openmpi-mca-params.conf"]
    return files.contains { path in
      let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
      return text.split(separator: "\n").contains { $0.hasPrefix("btl_tcp_if_") }
    }
  }

  /// The interfaces of this host whose addresses `mpirun`'s has as well; none on that host itself.
  ///
  /// - Parameter environment: a rank's, as Open MPI makes it.
  static func ofLauncher(_ environment: [String: String], _ interfaces: [NetworkInterface]) -> [NetworkInterface] {
    guard let launcher = environment["OMPI_MCA_orte_hnp_uri"].flatMap(contact),
      let daemon = environment["OMPI_MCA_orte_local_daemon_uri"].flatMap(contact), daemon.name != launcher.name
    else { return [] }
    let own = interfaces.filter { !$0.isLoopback }
    let repeated = own.filter { launcher.addresses.contains($0.address) }
    // One machine under two names has all addresses twice, and nothing else to be reached by.
    return repeated.count < own.count ? repeated : []
  }

  /// "484442112.0;tcp://10.77.0.254,172.17.0.1:45159" by its parts.
  private static func contact(_ uri: String) -> (name: Substring, addresses: Set<String>)? {
    let parts = uri.split(separator: ";")
    guard let name = parts.first else { return nil }
    let lists = parts.dropFirst().compactMap { part -> Substring? in
      guard part.hasPrefix("tcp://"), let port = part.lastIndex(of: ":") else { return nil }
      return part[..<port].dropFirst("tcp://".count)
    }
    return (name, Set(lists.flatMap { $0.split(separator: ",").map(String.init) }))
  }

  /// Has MPI, which has not started yet, leave out the networks of such addresses, unless networks are chosen.
  ///
  /// - Returns: what is left out.
  static func leaveOut() -> [NetworkInterface] {
    let environment = ProcessInfo.processInfo.environment
    let repeated = ofLauncher(environment, NetworkInterface.all())
    guard !repeated.isEmpty, !isChosen(environment) else { return [] }
    setenv(excluded, ([usuallyExcluded] + repeated.map(\.network)).joined(separator: ","), 1)
    return repeated
  }
}
