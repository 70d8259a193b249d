import EdgeLogic
import {{module}}

func ask(_ samples: [Float]) async throws {
    let model = try await {{module}}.Model.open()
    let answer = try await model.classify(samples: samples)
    print({{printed}})
}
