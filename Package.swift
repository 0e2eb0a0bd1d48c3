// swift-tools-version: 6.1
import PackageDescription

/// x86-64-v3 (AVX2, FMA, F16C): every processor of the last ten years; `ala` checks for it when it starts.
let processor: [SwiftSetting] = [.unsafeFlags(["-Xcc", "-march=x86-64-v3"])]
/// Only kernels drop overflow checks and preconditions; nothing that reads a file does.
let unchecked: [SwiftSetting] = [.unsafeFlags(["-Ounchecked"], .when(configuration: .release))]
let kernels = processor + unchecked
/// AVX-512; chosen when the program runs, as OpenBLAS and oneDNN choose theirs.
let wideKernels = [.unsafeFlags(["-Xcc", "-march=x86-64-v4"])] + unchecked

/// oneDNN is for `encoder.precision: bfloat16` and `run.products: onednn`; everything else builds and runs without it.
let bfloat16 = "BFloat16"

func system(_ name: String, pkgConfig: String? = nil, debian: String) -> Target {
  .systemLibrary(name: name, pkgConfig: pkgConfig, providers: [.apt([debian])])
}

func module(
  _ name: String, _ dependencies: [Target.Dependency], resources: [Resource] = [],
  settings: [SwiftSetting] = processor
) -> Target {
  .target(name: name, dependencies: dependencies, resources: resources, swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], hasFixtures: Bool = false) -> Target {
  .testTarget(
    name: name, dependencies: dependencies + ["TestSupport"], path: "Tests/\(name)",
    exclude: hasFixtures ? ["Fixtures"] : [],
    swiftSettings: processor)
}

let package = Package(
  name: "ala",
  products: [.executable(name: "ala", targets: ["ala"])],
  traits: [
    .trait(
      name: bfloat16, description: "oneDNN (Debian's libdnnl-dev): run.products: onednn and encoder.precision: bfloat16"
    )
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
    .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
    .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
    .package(url: "https://github.com/apple/swift-protobuf", exact: "1.39.0"),
    .package(url: "https://github.com/hummingbird-project/swift-mustache", exact: "2.1.1"),
  ],
  targets: [
    system("CMPI", pkgConfig: "ompi-c", debian: "libopenmpi-dev"),
    system("CHDF5", pkgConfig: "hdf5", debian: "libhdf5-dev"),
    system("COpenBLAS", pkgConfig: "openblas", debian: "libopenblas-dev"),
    system("CJPEG", pkgConfig: "libjpeg", debian: "libjpeg-dev"),
    system("CPNG", pkgConfig: "libpng", debian: "libpng-dev"),
    system("CCairo", pkgConfig: "cairo", debian: "libcairo2-dev"),
    system("CCrypto", pkgConfig: "libcrypto", debian: "libssl-dev"),
    system("CDeflate", pkgConfig: "libdeflate", debian: "libdeflate-dev"),
    system("COneDNN", debian: "libdnnl-dev"),
    .systemLibrary(name: "CVectorMath"),

    module("Failures", []),
    module("Files", ["Failures", "Digests"]),
    module("Randomness", []),
    module("Statistics", ["Randomness"]),
    module("Machine", ["CEndingSignals"]),
    module("Lanes", []),
    module("Digests", ["Failures", "CCrypto", "CDeflate"]),
    // One folder, compiled for two kinds of processor: the second is a link to the first.
    module("VectorKernels", ["CVectorMath"], settings: kernels),
    module("WideVectorKernels", ["CVectorMath"], settings: wideKernels),
    module(
      "Tensor",
      [
        "Failures", "Machine", "VectorKernels", "WideVectorKernels", "COpenBLAS",
        .target(name: "COneDNN", condition: .when(traits: [bfloat16])),
      ],
      settings: kernels),
    module("Layers", ["Files", "Lanes", "Machine", "Tensor", "Randomness"], settings: kernels),
    module("Safetensors", ["Failures", "Files", "Digests"]),
    module("Encoder", ["Failures", "Files", "Randomness", "Safetensors", "Tensor", "Layers"]),
    module("Networks", ["Lanes", "Tensor", "Layers", "Encoder", "Randomness"]),
    module("Branches", ["Failures", "Tensor", "Layers", "Networks", "Randomness"]),
    module("AttentionLattice", ["Failures", "Lanes", "Tensor", "Layers", "Encoder", "Networks", "Branches"]),
    module("AttentionBranchNetwork", ["Lanes", "Tensor", "Layers", "Encoder", "Networks", "Branches"]),
    module(
      "FCAM",
      ["Failures", "Lanes", "Tensor", "Layers", "Encoder", "Networks", "Branches", "Randomness"], settings: kernels),
    module("ClassActivation", ["Lanes", "Tensor", "Layers", "Encoder", "Networks", "Branches"]),
    module("Cluster", ["Failures", "Files", "Digests", "Lanes", "Machine", "CMPI"]),
    module("Storage", ["Failures", "Files", "Digests", "Lanes", "Machine", "CHDF5"]),
    module("Images", ["Failures", "Files", "Digests", "Randomness", "CJPEG", "CPNG"]),
    module("ImageFolders", ["Failures", "Files", "Randomness", "Images"]),
    module("Dataset", ["Failures", "Files", "Digests", "Randomness", "Images", "ImageFolders", "Safetensors"]),
    module("Settings", ["Failures", "Files", "Machine", "Yams"]),
    .target(
      name: "TensorBoard",
      dependencies: ["Digests", "Failures", "Files", .product(name: "SwiftProtobuf", package: "swift-protobuf")],
      exclude: ["event.proto"], swiftSettings: processor),
    module("Metrics", ["Images"]),
    module(
      "Watching",
      [
        "Failures", "Files", "Storage", "Dataset", "Reporting", "Statistics", "TensorBoard",
        .product(name: "Mustache", package: "swift-mustache"),
      ]),
    module(
      "Experiments",
      [
        "Failures", "Files", "Digests", "Lanes", "Tensor", "Layers", "Encoder", "Networks", "Branches",
        "AttentionLattice",
        "AttentionBranchNetwork", "ClassActivation", "FCAM", "Cluster", "Safetensors", "Storage", "Images", "Dataset",
        "Settings",
        "TensorBoard", "Machine",
        .product(name: "Logging", package: "swift-log"),
      ]),
    module(
      "Caching",
      [
        "Failures", "Files", "Tensor", "Networks", "Cluster", "Storage", "Images", "Dataset", "Experiments",
      ]),
    module(
      "Explaining",
      [
        "Machine", "Failures", "Files", "Randomness", "Tensor", "Encoder", "Networks", "ClassActivation", "Storage",
        "Images", "Dataset", "Settings", "Metrics", "Reporting", "Experiments",
      ]),
    module(
      "Evaluation",
      [
        "Failures", "Files", "Digests", "Machine", "Randomness", "Tensor", "Encoder", "Networks",
        "Cluster", "Storage", "Images", "Dataset", "Settings", "Metrics", "Reporting", "Experiments", "Explaining",
      ]),
    module(
      "Training",
      [
        "Failures", "Files", "Machine", "Lanes", "Tensor", "Layers", "Networks", "Cluster", "Storage", "Images",
        "Dataset", "Settings", "Metrics", "Reporting", "Experiments", "Evaluation",
      ]),
    module(
      "Estimation",
      [
        "Failures", "Files", "Machine", "Tensor", "Layers", "Networks", "Safetensors", "Cluster", "Storage", "Settings",
        "Experiments", "Caching", "Evaluation", "Explaining", "Metrics", "Training",
      ]),
    module(
      "Comparison",
      [
        "Estimation", "Failures", "Files", "Digests", "Randomness", "Statistics", "Machine", "Tensor", "Layers",
        "Encoder", "Networks", "Cluster", "Storage", "Images", "Settings", "Metrics", "Reporting", "Experiments",
        "Caching", "Explaining", "Evaluation", "Training", .product(name: "Mustache", package: "swift-mustache"),
      ]),
    module(
      "Reporting",
      [
        "Failures", "Files", "Images", "Dataset", "Storage", "Randomness", "Metrics", "Statistics", "CCairo",
        .product(name: "Mustache", package: "swift-mustache"),
      ]),
    module(
      "Benchmark",
      [
        "Failures", "Files", "Digests", "Randomness", "Tensor", "Layers", "Encoder", "Networks", "AttentionLattice",
        "FCAM", "Cluster", "Safetensors", "Settings", "Statistics", "Storage", "Machine", "Experiments", "Explaining",
        "Training",
      ], resources: [.embedInCode("Peers/peer.py")]),
    module(
      "Reproducibility",
      ["Failures", "Files", "Digests", "Lanes", "Machine", "Storage", "Cluster", "Dataset", "Settings"]),
    module(
      "Diagnosis",
      ["Failures", "Files", "Digests", "Randomness", "Machine", "Tensor", "Cluster", "Storage"]),
    module(
      "Commands",
      [
        "Failures", "Files", "Digests", "Tensor", "Encoder", "Cluster",
        "Safetensors", "Storage", "Dataset", "Settings", "Reporting", "Experiments", "Caching", "Explaining",
        "Evaluation", "Training", "Watching", "Estimation", "Comparison", "Benchmark", "Machine", "Diagnosis",
        "Reproducibility",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    .target(name: "COutOfMemory"),
    .target(name: "CEndingSignals"),
    .target(name: "CHeldSignals", dependencies: ["CEndingSignals"]),
    .plugin(name: "CommitOfBuild", capability: .buildTool()),
    .executableTarget(
      name: "ala", dependencies: ["Commands", "COutOfMemory", "CHeldSignals"], swiftSettings: processor,
      plugins: ["CommitOfBuild"]),

    .target(
      name: "TestSupport", dependencies: ["Safetensors", "Tensor"], path: "Tests/TestSupport", swiftSettings: processor),
    .target(
      name: "ReferenceSupport", dependencies: ["Lanes", "Networks", "Tensor", "TestSupport"],
      path: "Tests/ReferenceSupport", swiftSettings: processor),
    tests("RandomnessTests", ["Randomness"]),
    tests("StatisticsTests", ["Statistics"], hasFixtures: true),
    tests(
      "LayersTests",
      [
        "Lanes", "Machine", "Tensor", "Layers", "Randomness", "Failures", "Safetensors", "VectorKernels",
        "WideVectorKernels",
      ], hasFixtures: true),
    tests("FilesTests", ["Files", "Digests", "Failures"]),
    tests("SafetensorsTests", ["Safetensors", "Files", "Digests", "Failures"]),
    tests(
      "EncoderTests", ["Encoder", "Files", "Safetensors", "Layers", "Tensor", "Randomness", "Failures"],
      hasFixtures: true),
    .target(name: "AllocationCounter", path: "Tests/AllocationCounter"),
    tests(
      "AttentionLatticeTests",
      [
        "AllocationCounter", "AttentionLattice", "Branches", "Cluster", "Encoder", "Explaining", "Lanes", "Layers",
        "Networks", "ReferenceSupport", "Settings", "Tensor", "Training",
      ],
      hasFixtures: true
    ),
    tests(
      "BaselineTests",
      [
        "AttentionBranchNetwork", "Branches", "ClassActivation", "Encoder", "Lanes", "Layers", "Networks",
        "ReferenceSupport", "Tensor", "Training",
      ],
      hasFixtures: true),
    tests(
      "FCAMTests",
      [
        "AllocationCounter", "Cluster", "FCAM", "Encoder", "Failures", "Lanes", "Layers", "Networks", "Randomness",
        "ReferenceSupport", "Tensor", "Training",
      ],
      hasFixtures: true),
    tests("ImagesTests", ["Images", "Digests", "Failures"], hasFixtures: true),
    tests("DatasetTests", ["Dataset", "Files", "Images", "Digests", "Failures"]),
    tests("ImageFoldersTests", ["ImageFolders", "Dataset", "Images", "Failures"]),
    tests("StorageTests", ["Storage", "Failures"], hasFixtures: true),
    tests("SettingsTests", ["Settings", "Failures", "Files"]),
    tests("TensorBoardTests", ["TensorBoard", "Digests"], hasFixtures: true),
    tests("ReportingTests", ["Reporting", "Metrics", "Images", "Failures"]),
    tests(
      "ExplainingTests",
      [
        "Explaining", "AttentionLattice", "Cluster", "Dataset", "Encoder", "Experiments", "Failures", "Metrics",
        "Networks", "Settings", "Tensor",
      ]),
    tests("MetricsTests", ["Metrics", "Images"], hasFixtures: true),
    tests("DiagnosisTests", ["Cluster", "Diagnosis", "Machine", "Tensor"]),
    tests("MachineTests", ["Machine"]),
    .executableTarget(
      name: "ClusterProbe", dependencies: ["Cluster", "Failures"], path: "Tests/ClusterProbe",
      swiftSettings: processor),
    tests("ClusterTests", ["Cluster", "ClusterProbe", "Digests"]),
    .executableTarget(
      name: "CommandServer", dependencies: ["Commands"], path: "Tests/CommandServer", swiftSettings: processor),
    tests("ExperimentsTests", ["Experiments", "Training", "Cluster", "Dataset", "Settings"]),
    tests("TrainingTests", ["Training", "Layers", "Storage", "Failures"]),
    tests("ReproducibilityTests", ["Reproducibility"]),
    tests("ComparisonTests", ["Comparison", "Settings"]),
    tests(
      "RunTests",
      ["CommandServer", "Digests", "Files", "Safetensors", "Storage", "Dataset", "Images", "Benchmark", "Tensor"]),
    tests(
      "DocumentationTests",
      [
        "Commands", "Explaining", "Metrics", "Settings",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
  ],
  swiftLanguageModes: [.v6]
)
