// The official client against a server at the address given: prints "all right", or throws.
import assert from 'node:assert/strict';
import OpenAI from 'openai';

const client = new OpenAI({ baseURL: process.argv[2], apiKey: 'none', maxRetries: 0 });
const model = (await client.models.list()).data[0].id;
const messages = [
  { role: 'system', content: 'The keeper of the lighthouse is Anna Berg. The code of the archive is 4711.' },
  { role: 'user', content: 'What is the code of the archive?' },
];

const answer = await client.chat.completions.create({ model, messages, temperature: 0, logprobs: true, top_logprobs: 2 });
assert.equal(answer.choices[0].message.content, '4711.');
assert.equal(answer.choices[0].finish_reason, 'stop');
assert.equal(answer.choices[0].logprobs.content[0].top_logprobs.length, 2);

let streamed = '';
let usage;
for await (const chunk of await client.chat.completions.create({
  model, messages, temperature: 0, stream: true, stream_options: { include_usage: true },
})) {
  streamed += chunk.choices[0]?.delta.content ?? '';
  usage = chunk.usage ?? usage;
}
assert.equal(streamed, '4711.');
assert.deepEqual([usage.prompt_tokens, usage.completion_tokens], [answer.usage.prompt_tokens, answer.usage.completion_tokens]);

const two = await client.completions.create({ model, prompt: 'The sea', n: 2, seed: 1, max_tokens: 4 });
assert.deepEqual(two.choices.map((c) => c.index), [0, 1]);

await assert.rejects(client.chat.completions.create({ model, messages, presence_penalty: 3 }), (e) =>
  e instanceof OpenAI.BadRequestError && e.param === 'presence_penalty');

const stopped = await client.chat.completions.create({ model, messages, temperature: 0, stop: ['11'] });
assert.deepEqual([stopped.choices[0].message.content, stopped.choices[0].finish_reason], ['47', 'stop']);

// Who breaks a stream off is not computed for any more.
const endless = await client.completions.create({ model, prompt: 'The sea', stream: true, max_tokens: 4096, temperature: 2 });
for await (const chunk of endless) {
  assert.equal(chunk.object, 'text_completion');
  break;
}
const active = async () => (await (await fetch(new URL('/healthz', process.argv[2]))).json()).active;
for (let i = 0; i < 100 && (await active()) > 0; i++) await new Promise((resolve) => setTimeout(resolve, 50));
assert.equal(await active(), 0);

// From a memory: the client takes fields and annotations that it does not know.
const memories = `${process.argv[2]}/memories`;
await fetch(memories, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{"name":"js","block_type":"int8"}' });
const lamps = (from) => Array.from({ length: 60 }, (_, i) => `The grass is green. Box ${from + i} is red.`).join('\n');
await fetch(`${memories}/js/documents/it.txt`, {
  method: 'PUT', headers: { 'Content-Type': 'text/plain' }, body: `${lamps(1)}\nThe code of the archive is 4711.\n${lamps(61)}`,
});
await (await fetch(`${memories}/js/documents/it.txt/events`)).text();
const asked = { model, messages: messages.slice(1), temperature: 0, memories: ['js'], landmark: { focus: 8 } };
const cited = (await client.chat.completions.create(asked)).choices[0].message;
assert.equal(cited.content, '4711.');
assert.ok(cited.annotations.some((a) => a.landmark_passage.document === 'it.txt' && a.landmark_passage.text.includes('4711')));
let last;
for await (const chunk of await client.chat.completions.create({ ...asked, stream: true })) last = chunk;
assert.deepEqual(last.choices[0].delta.annotations, cited.annotations);

console.log('all right');
