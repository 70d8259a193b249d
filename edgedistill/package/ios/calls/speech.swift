import EdgeLogic
import {{module}}

func ask(_ samples: [Float]) async throws {
    let model = try await {{module}}.Model.open()
    let found = try await model.transcribe(samples)
    print(found.text)
}
