import ArgumentParser
import Cluster
import Diagnosis
import Failures
import Files
import Experiments
import Tensor
import Foundation
import Settings

struct DoctorCommand: ClusterCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "Checks the machine: libraries, processor, BLAS, threads, memory, file system; says what to do.",
    discussion: """
      Examples:
        mpirun -np 2 ala doctor --dir runs
        ala doctor --json > doctor.json
      """)

  /// Until ranks that do not reach each other are told of, at the start four times as long: a minute.
  var patience: Double? { 15 }

  @Option(help: "A folder on the file system that runs write to.", completion: .directory)
  var dir = "."

  @Option(help: "Threads of each process; by default its share of the processors.")
  var threads: Int?

  @Flag(help: "Print one JSON object.")
  var json = false

  func run(on cluster: Cluster) throws {
    let environment = ProcessInfo.processInfo.environment
    let flags = threads.map { [(path: "run.threads", value: "\($0)")] } ?? []
    let settings = try cluster.agree { try Configuration.load(file: nil, flags: flags, environment: environment) }
    let library = try cluster.agree { try ProductLibrary(setting: settings.run.products) }
    let blas = BLASKernel.choice
    let diagnosis = try diagnose(
      DiagnosisOptions(
        folder: dir, threads: settings.run.threads, environment: environment, blas: blas, program: Program.path,
        library: library, isLibraryAutomatic: ProductLibrary(rawValue: settings.run.products) == nil),
      on: cluster)
    try cluster.onRoot {
      if json {
        try StandardOutput.printJSON(Document(diagnosis: diagnosis))
      } else {
        let end = diagnosis.sound ? ["sound: nothing keeps ala from running here"] : []
        try StandardOutput.print((diagnosis.lines + end).joined(separator: "\n"))
      }
    }
    let problems = diagnosis.problems
    guard problems.isEmpty else {
      throw cluster.agreed(
        .unavailable("\(problems.count) problem\(problems.count == 1 ? "" : "s"): \(problems.joined(separator: "; "))"))
    }
  }

  /// The diagnosis with the program that has made it, for who is sent one.
  private struct Document: Encodable {
    let diagnosis: Diagnosis

    enum CodingKeys: String, CodingKey { case program }

    func encode(to encoder: Encoder) throws {
      try diagnosis.encode(to: encoder)
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(Program.versionLine, forKey: .program)
    }
  }
}
