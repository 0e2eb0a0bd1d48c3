import ArgumentParser
import Cluster
import Dataset
import Files

struct SynthCommand: ClusterCommand {
  static let configuration = CommandConfiguration(
    commandName: "synth",
    abstract: "Makes a small labelled image set with masks and a tiny encoder.",
    discussion: "Example: ala synth --out data/synthetic --classes 8 --images-per-class 40")

  @Option(help: "The folder to write to.", completion: .directory)
  var out: String

  @Option(help: "How many classes.")
  var classes = 8

  @Option(help: "Images of each class, half of them for testing.")
  var imagesPerClass = 40

  @Option(help: "Side of the encoder's view in pixels.")
  var size = 64

  @Option(help: "The same seed gives the same bytes.")
  var seed: UInt64 = 0

  @Flag(help: "Write even where the folder holds files that this command has not made.")
  var overwrite = false

  func run(on cluster: Cluster) throws {
    try cluster.onRoot {
      try SyntheticImages(classes: classes, imagesPerClass: imagesPerClass, side: size, seed: seed)
        .write(to: out, isOverwriting: overwrite)
      StandardOutput.note("\(out): \(classes * imagesPerClass) images of \(classes) classes, and encoder.safetensors")
    }
  }
}
