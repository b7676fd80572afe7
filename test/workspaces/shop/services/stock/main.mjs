import { DynamoDBClient, PutItemCommand, ScanCommand } from '@aws-sdk/client-dynamodb';
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { serve } from '../../packages/common/http.mjs';

const [table, bucket] = [new DynamoDBClient(), new S3Client()];
const { TABLE: TableName, BUCKET: Bucket } = process.env;

// POST /stock/ID puts one into the table and its picture into the bucket; each answer is how many there are.
serve(8080, async (method, path) => {
  const id = path.split('/')[2] ?? '';
  if (method === 'POST') {
    await table.send(new PutItemCommand({ TableName, Item: { id: { S: id } } }));
    await bucket.send(new PutObjectCommand({ Bucket, Key: id, Body: `picture of ${id}` }));
  }
  const { Count } = await table.send(new ScanCommand({ TableName, Select: 'COUNT' }));
  if (id === '') return { stock: Count };
  const { Body } = await bucket.send(new GetObjectCommand({ Bucket, Key: id }));
  return { stock: Count, picture: await Body?.transformToString() };
});
