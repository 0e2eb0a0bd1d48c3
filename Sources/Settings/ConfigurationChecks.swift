import Failures

extension Configuration {
  /// What no single key's range can say.
  func check() throws {
    func refuse(_ key: String, _ expected: String) throws -> Never {
      throw Failure.badConfiguration("\(key) is \(values[key]?.yaml ?? "absent"); expected \(expected)")
    }
    if training.lanes & (training.lanes - 1) != 0 { try refuse("training.lanes", "a power of two") }
    if attention.kernel == 2 { try refuse("attention.kernel", "1 or 3") }
    if fcam.widths.isEmpty { try refuse("fcam.widths", "at least one stage") }
    if fcam.erosion % 2 == 0 { try refuse("fcam.erosion", "an odd number") }
    if fcam.dilation % 2 == 0 { try refuse("fcam.dilation", "an odd number") }
    if fcam.barrierMost < fcam.barrierStart {
      try refuse("fcam.barrier_most", "at least fcam.barrier_start (\(fcam.barrierStart))")
    }
    if perception.channels.isEmpty { try refuse("perception.channels", "at least one stage") }
    if side.width % side.heads != 0 { try refuse("side.heads", "a divisor of side.width (\(side.width))") }
    if side.fusion.count > side.layers {
      try refuse("side.fusion", "at most one entry for each of side.layers (\(side.layers))")
    }
    if Set(lora.blocks).count != lora.blocks.count { try refuse("lora.blocks", "each block once") }
    if Set(lora.targets).count != lora.targets.count { try refuse("lora.targets", "each map once") }
    if Set(lora.phases).count != lora.phases.count { try refuse("lora.phases", "each phase once") }
    if !lora.blocks.isEmpty && lora.phases.isEmpty {
      try refuse("lora.phases", "at least one phase, or no lora.blocks")
    }
    if !training.aea && !lora.blocks.isEmpty && !lora.phases.contains("alpha") {
      try refuse("lora.phases", "alpha among them, for without training.aea every epoch is one")
    }
    if !lora.blocks.isEmpty && lora.targets.isEmpty {
      try refuse("lora.targets", "at least one map, or no lora.blocks")
    }
    if let crop = image.crop, crop.resize < image.size {
      try refuse("image.augment", "a resize of at least image.size (\(image.size)) pixels")
    }
    if let classes = data.classes, classes.isEmpty { try refuse("data.classes", "at least one class") }
    if let std = encoder.std, std.contains(where: { $0 <= 0 }) { try refuse("encoder.std", "three positive numbers") }
    if checkpoint.everyMinutes == 0 && checkpoint.everyEpochs == 0 {
      try refuse("checkpoint.every_epochs", "a number from 1 where checkpoint.every_minutes is 0")
    }
  }

  /// The same of a table's rows and seeds.
  func checkTable() throws {
    func refuse(_ key: String, _ expected: String) -> Failure {
      .badConfiguration("\(key) is \(values[key]?.yaml ?? "absent"); expected \(expected)")
    }
    if table.rows.isEmpty { throw refuse("table.rows", "at least one row") }
    if table.seeds.isEmpty { throw refuse("table.seeds", "at least one seed") }
    if Set(table.seeds).count != table.seeds.count { throw refuse("table.seeds", "each seed once") }
    var names: Set<String> = []
    for row in table.rows where !names.insert(row.name).inserted {
      throw Failure.badConfiguration("table.rows names \(row.name) twice; expected each row once")
    }
    let own = table.rows.filter { $0.settings != nil }.map(\.name)
    if !(RowSetting.classifiers + own).contains(table.classifier) {
      throw refuse(
        "table.classifier",
        "a row that trains a network which classifies: \((RowSetting.classifiers + own).joined(separator: ", "))")
    }
  }
}
